"""The embedded world: problems with known truth and the tiny language model that solves them."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
"""The shipped weights: a folder that transformers and vLLM load as it is."""
