"""The process-label factory: Monte Carlo step labels for process reward models."""
