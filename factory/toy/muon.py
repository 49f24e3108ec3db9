"""Muon in float32 for many small matrices: equal shapes are orthogonalised together.

The update is Keller Jordan's: momentum, five Newton-Schulz steps, scaled by sqrt(rows / columns)
where there are more rows. PyTorch's own works in bfloat16, one matrix at a time, which is slow on
CPUs without bfloat16 arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NUM_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised; every parameter must be a matrix."""

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # takes no closure
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                by_shape[matrix.shape].append(matrix)
            for matrices in by_shape.values():
                self._step_together(matrices, **{k: group[k] for k in self.defaults})

    def _step_together(
        self,
        matrices: list[torch.nn.Parameter],
        lr: float,
        weight_decay: float,
        momentum: float,
    ) -> None:
        gradients = torch.stack([m.grad for m in matrices if m.grad is not None])
        assert len(gradients) == len(matrices), "a matrix without a gradient"
        state = self.state[matrices[0]]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradients)
        state["momentum"].lerp_(gradients, 1 - momentum)
        updates = orthogonalise(gradients.lerp(state["momentum"], momentum))
        scale = max(1.0, updates.shape[-2] / updates.shape[-1]) ** 0.5
        for matrix, update in zip(matrices, updates, strict=True):
            matrix.mul_(1 - lr * weight_decay).add_(update, alpha=-lr * scale)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values end up near one."""
    a, b, c = COEFFICIENTS
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x: torch.Tensor = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x
