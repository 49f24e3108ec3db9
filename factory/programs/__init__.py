"""The async programs that a worker runs on an engine: sample, estimate."""
