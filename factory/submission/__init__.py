"""Jobs sent to a Ray cluster from elsewhere: what is shipped, under which id, what became of it."""
