"""How full the factory keeps an engine: the estimate stage against raw `LLM.generate`.

Both sides draw the same rollouts, from the same prompts with the same seeds and sampling, on one
engine with the same arguments. The raw side has all requests given to it at once, sorted as the
stage would ask for them; loading the model is in neither figure.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from factory.bench.report import write_report
from factory.cluster import open_cluster
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.demo import toy_job
from factory.job import Job
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.programs.estimate import Estimate
from factory.recipes import load_recipe
from factory.stage_folder import StageFolder
from factory.stages import run_stage
from factory.stored import groups_in, rows_in
from factory.toy import MODEL_DIR
from factory.watching.stage_run import unwatched
from schemas.ids import content_id, seed_from
from workers.program import Program
from workers.tally import Tally, WorkerCounts

NUM_PROBLEMS = 60
REPEATS = 3


def measure(folder: Path, num_problems: int = NUM_PROBLEMS, repeats: int = REPEATS) -> None:
    """Runs both sides in turn and writes `saturation.json` and `prefix_cache.json`."""
    job, recipe = toy_job(folder / "job", num_problems), load_recipe("math-shepherd")
    label(job, folder / "job", unwatched)
    source = JobFolder(path=(folder / "job").resolve()).estimate.files()
    requests = folder / "requests.json"
    requests.write_text(json.dumps(_requests(source, job, recipe)))
    ratios, stages, raws = [], [], []
    for repeat in range(repeats):
        raws.append(_raw(requests))
        program = Estimate(recipe=recipe, prompt=prompt_of(job), seed=job.seed)
        stages.append(run_program(program, source, folder / f"stage-{repeat}", job))
        ratios.append(_tokens_per_s(stages[-1]) / raws[-1]["tokens_per_s"])
        print(
            f"repeat {repeat + 1}: stage {_tokens_per_s(stages[-1]):,.0f} tokens/s, "
            f"raw {raws[-1]['tokens_per_s']:,.0f} tokens/s, ratio {ratios[-1]:.3f}"
        )
        same = stages[-1].engine.num_generated_tokens == raws[-1]["tokens"]
        print(f"  tokens {raws[-1]['tokens']:,} on both sides: {'yes' if same else 'no'}")
    hits = [s.engine.num_cached_prompt_tokens / s.engine.num_prompt_tokens for s in stages]
    print(f"prompt tokens from the prefix cache: {statistics.median(hits):.1%}")
    write_report(
        "saturation",
        {
            "tokens_per_s_ratio": statistics.median(ratios),
            "ratios": ratios,
            "stage_tokens_per_s": [_tokens_per_s(stage) for stage in stages],
            "raw_tokens_per_s": [raw["tokens_per_s"] for raw in raws],
            "num_requests": stages[-1].engine.num_requests,
        },
    )
    write_report("prefix_cache", {"hit_rate": statistics.median(hits), "hit_rates": hits})


def _tokens_per_s(counts: WorkerCounts) -> float:
    return counts.engine.num_generated_tokens / counts.working_s


def prompt_of(job: Job) -> SolvePrompt:
    """How the job's completer is asked."""
    return SolvePrompt(system=job.completing.system)


def run_program(program: Program, source: list[Path], folder: Path, job: Job) -> WorkerCounts:
    """Runs one stage on the job's completer, on a Ray of its own."""
    import ray

    with open_cluster(job.engine_cpus):
        tally = ray.remote(num_cpus=0)(Tally).remote()
        run_stage(
            pending=rows_in(source),
            folder=StageFolder(path=folder.resolve()).open_pass(),
            program=program,
            section=job.completing,
            tally=tally,
        )
        counts: WorkerCounts = ray.get(tally.total.remote())
    return counts


def _requests(source: list[Path], job: Job, recipe: Recipe) -> list[dict[str, Any]]:
    """Every rollout the stage asks for with K fixed: question, prefix and seed."""
    num_rollouts = recipe.planner.num_rollouts  # type: ignore[attr-defined]
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    rows = rows_in(source)
    for group in groups_in(rows, rows):
        for solution in group.solutions:
            for n in range(1, len(solution.steps)):
                prefix = "".join(solution.steps[:n])
                prefix_id = content_id(group.problem_id, prefix)
                seen[group.problem_id, prefix] = {
                    "question": group.question,
                    "prefix": prefix,
                    "seeds": [
                        seed_from(job.seed, "rollout", prefix_id, i) for i in range(num_rollouts)
                    ],
                }
    return list(seen.values())


def _raw(requests: Path) -> dict[str, Any]:
    """The raw side, in a process of its own."""
    command = [sys.executable, "-m", "factory.bench.saturation", str(requests)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _generate_at_once(requests: Path) -> None:
    """Gives `LLM.generate` everything at once; prints its tokens per second as JSON."""
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    from vllm import LLM, SamplingParams

    from workers.vllm_engine import cpu_arguments

    llm = LLM(model=str(MODEL_DIR), **cpu_arguments(str(MODEL_DIR), {}))
    tokenizer = llm.get_tokenizer()
    sampling = load_recipe("math-shepherd").completing
    prompts, params = [], []
    for request in json.loads(requests.read_text()):
        prompt = SolvePrompt()(request["question"], request["prefix"])
        turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids = tokenizer.encode(text + prompt.prefix, add_special_tokens=False)
        room = llm.llm_engine.model_config.max_model_len - len(ids)
        for seed in request["seeds"]:
            prompts.append({"prompt_token_ids": ids})
            params.append(
                SamplingParams(
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=min(sampling.max_tokens, room),
                    seed=seed,
                )
            )
    started_s = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - started_s
    tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
    print(json.dumps({"tokens": tokens, "seconds": seconds, "tokens_per_s": tokens / seconds}))


if __name__ == "__main__":
    _generate_at_once(Path(sys.argv[1]))
