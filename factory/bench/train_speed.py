"""What training a discriminative PRM costs on a GPU: tokens per second and peak memory.

A Qwen2 of 494 million parameters with random weights (the shape of Qwen2.5-0.5B), bfloat16, random
token ids in examples of 1,024 tokens with a separator every 64: what the weights are does not
change what a step costs. Trained are all weights or LoRA's, by the trainer that trains for real;
the first steps, which compile and allocate, are not counted.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from factory.bench.report import write_report
from factory.training.settings import TrainSettings

NUM_TOKENS, STEP_LENGTH, VOCABULARY = 1_024, 64, 151_936
BATCH_SIZE, MICRO_BATCH_SIZE = 32, 8
WARM_STEPS, TIMED_STEPS = 3, 12
RUNS: dict[str, dict[str, Any]] = {
    "all weights": {},
    "all weights, checkpointing": {"gradient_checkpointing": True},
    "LoRA rank 32": {"lora_rank": 32},
    "LoRA rank 32, checkpointing": {"lora_rank": 32, "gradient_checkpointing": True},
}


def measure() -> None:
    """Prints a line for each way to train and writes build/bench/training-speed.json."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("training-speed needs a GPU: there is none here")
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "tokens_per_example": NUM_TOKENS,
        "examples_per_step": BATCH_SIZE,
    }
    with TemporaryDirectory() as folder:
        settings = TrainSettings(
            data="none",
            model="none",
            out=Path(folder),
            batch_size=BATCH_SIZE,
            micro_batch_size=MICRO_BATCH_SIZE,
            max_steps=WARM_STEPS + TIMED_STEPS,
            bf16=True,
            save_steps=1_000,
        )
        for name, given in RUNS.items():
            figures[name] = _run(replace(settings, **given).with_schedule(None))
            print(
                f"{name:<30}{figures[name]['tokens_per_second']:>12,.0f} tokens/s"
                f"{figures[name]['peak_gib']:>8.1f} GiB"
            )
    write_report("training-speed", figures)


def _run(settings: TrainSettings) -> dict[str, float]:
    import torch
    from transformers import TrainerCallback, TrainingArguments, set_seed

    from factory.training.arguments import training_arguments
    from factory.training.losses import Collator
    from factory.training.models import with_adapters
    from factory.training.trainer import PrmTrainer

    class Clock(TrainerCallback):
        """When the warm steps were done."""

        start = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == WARM_STEPS:
                torch.cuda.synchronize()
                self.start = time.perf_counter()

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    set_seed(settings.seed)
    model = _model(torch.bfloat16 if settings.lora_rank else torch.float32)
    if settings.lora_rank:
        model = with_adapters(model, settings, task="TOKEN_CLS")
    clock = Clock()
    trainer = PrmTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(settings, settings.max_steps)),
        train_dataset=_examples(BATCH_SIZE * (WARM_STEPS + TIMED_STEPS)),
        data_collator=Collator(pad_id=0),
        callbacks=[clock],
        settings=settings,
    )
    trainer.train()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - clock.start
    return {
        "tokens_per_second": TIMED_STEPS * BATCH_SIZE * NUM_TOKENS / seconds,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def _model(dtype: Any) -> Any:
    from transformers import Qwen2Config, Qwen2ForTokenClassification

    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=896,
        intermediate_size=4_864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        num_labels=2,
        classifier_dropout=0.0,
        use_cache=False,
    )
    return Qwen2ForTokenClassification(config).to(dtype)


def _examples(num: int) -> Any:
    import numpy as np
    from datasets import Dataset

    random = np.random.default_rng(0)
    positions = list(range(STEP_LENGTH - 1, NUM_TOKENS, STEP_LENGTH))
    good = random.random((num, len(positions))).round()
    return Dataset.from_dict(
        {
            "input_ids": random.integers(VOCABULARY, size=(num, NUM_TOKENS)),
            "positions": [positions] * num,
            "good": good,
            "bad": 1 - good,
        }
    )


if __name__ == "__main__":
    measure()
