"""Foreign formats of step labels, each translated to one neutral value and back, and only here."""
