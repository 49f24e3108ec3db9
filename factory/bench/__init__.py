"""Benchmarks: each measures ratios within one run and writes them to build/bench."""
