"""What can be seen of a running job: its status, its log, its metrics."""
