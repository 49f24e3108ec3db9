"""How many GPUs engine arguments ask for is said once."""

import pytest

from workers.engine_args import PARALLEL_SIZES, unknown, world_size
from workers.vllm_engine import gpu_arguments


@pytest.mark.parametrize("name", PARALLEL_SIZES)
def test_an_engine_on_several_gpus_has_several_processes(name: str) -> None:
    given = {name: 2}
    assert world_size(given) == 2
    assert gpu_arguments(given)["distributed_executor_backend"] == "mp"


def test_an_engine_on_one_gpu_has_one_process() -> None:
    assert world_size({}) == 1
    assert gpu_arguments({})["distributed_executor_backend"] == "uni"


def test_what_is_set_by_us_is_refused_with_or_without_vllm() -> None:
    assert unknown({"model": "another"}) == "model is set by us: leave it out"
    assert unknown({"max_model_len": 8}) is None
