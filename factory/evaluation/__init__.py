"""What a process reward model is worth: benchmarks, best-of-N, calibration, with intervals."""
