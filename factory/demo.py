"""The demonstration: a real job on the toy world, and its labels against the known truth."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from factory.job import Job
from factory.job_file import load_job
from factory.pipeline import label
from factory.recipes import load_recipe
from factory.report.progress import watcher
from factory.report.show import print_summary, published_rows, solution_panel
from factory.report.tables import percent
from factory.toy import MODEL_DIR
from factory.toy.agreement import Agreement, compare
from factory.toy.consensus import ConsensusEffect, Rate, consensus_effect
from factory.toy.prm import score_toy_prm, train_toy_prm
from factory.toy.teacher import TEACHER_DIR
from factory.toy.world import make_problems, problem_row
from schemas.files import make_folder

SEED = 7
RECIPE = "genprm"
JOB = """\
# What `prm-factory demo` runs; `prm-factory label {job} --out {out}` does the same.
problems: {{path: {problems}}}
generator:
  model: {model}
  device: cpu
recipe: {recipe}
seed: {seed}
"""
TEACHER = f"""\
teacher:
  model: {TEACHER_DIR}
  device: cpu
  engine_args: {{max_model_len: 1024}}
"""


def run_demo(console: Console, out: Path, num_problems: int) -> None:
    """Writes problems and job file, runs the job, and prints what it came to."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    manifest = label(toy_job(out, num_problems, RECIPE), out, watcher(console))
    dataset = out / "dataset"
    rows = list(published_rows(dataset))
    console.rule("what it came to")
    print_summary(console, dataset, manifest)
    _print_agreement(console, compare(rows))
    _print_consensus(console, consensus_effect(rows))
    if (row := telling_row(rows)) is not None:
        console.print("\nA labelled solution (more with [bold]prm-factory show[/]):")
        console.print(solution_panel(row))
    if not rows:
        return
    console.rule("a reward model from these labels")
    print_toy_prm(console, train_and_score(console, dataset, out / "prm", len(rows)))


def train_and_score(
    console: Console, dataset: Path, out: Path, num_solutions: int
) -> dict[str, Any]:
    """Trains the small PRM on the dataset and measures it on the shipped benchmarks."""
    shutil.rmtree(out, ignore_errors=True)
    with console.status("training") as status:
        train_toy_prm(dataset, out, num_solutions=num_solutions, seed=SEED, say=_silent)
        status.update("scoring solutions of held-out problems")
        return score_toy_prm(out)


def _silent(line: str) -> None:
    """`prm.json` has what training says."""


def print_toy_prm(console: Console, report: Mapping[str, Any]) -> None:
    """First-error F1 and best of 8 by the least step score, beside what needs no PRM."""
    bench, best = report["processbench"], report["best_of"]
    methods = {m["method"]: m for m in best["methods"]}

    def share(name: str) -> str:
        accuracy = methods[name]["accuracy"]
        return (
            f"{100 * accuracy['value']:.1f} % "
            f"({100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f})"
        )

    f1 = bench["held_out_f1"]
    console.print(
        f"[bold]first error[/]  F1 {f1['value']:.2f} ({f1['low']:.2f} to {f1['high']:.2f}) on "
        f"{f1['num']:,} solutions of held-out problems\n"
        f"[bold]best of 8[/]    one at random  {share('pass@1')}\n"
        f"             majority       {share('majority')}\n"
        f"             highest score  {share('prm-min')}\n"
        f"             vote by score  {share('vote-min')}\n"
        f"             never wrong    {share('pass@N')}, on {best['num_problems']:,} problems"
    )


def telling_row(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """A solution that goes wrong after its first step; rather one whose answer is wrong too."""
    erring = [row for row in rows if row["first_error"] not in (None, 0)]
    return min(erring, key=lambda row: row["is_correct"] is not False, default=None)


def toy_job(out: Path, num_problems: int, recipe: str = "math-shepherd") -> Job:
    """The job of the demonstration, its files beside `out`."""
    folder = out.parent / f"{out.name}-input"
    make_folder(folder)
    problems = folder / "problems.jsonl"
    with problems.open("w", encoding="utf-8") as lines:
        for problem in make_problems(num_problems, seed=SEED):
            lines.write(json.dumps(problem_row(problem), ensure_ascii=False) + "\n")
    job = folder / "job.yaml"
    text = JOB.format(
        job=job, out=out, problems=problems.name, model=MODEL_DIR, recipe=recipe, seed=SEED
    )
    has_teacher = load_recipe(recipe).teaching is not None
    job.write_text(text + (TEACHER if has_teacher else ""), encoding="utf-8")
    return load_job(job)


def _print_agreement(console: Console, agreement: Agreement) -> None:
    first = agreement.first_errors
    f1 = "–" if first.f1 is None else f"{first.f1:.2f}"
    console.print(
        f"\n[bold]truth[/]    {percent(agreement.num_agreeing, agreement.num_steps)} of labels "
        f"agree with the oracle ({agreement.num_false_good:,} false good, "
        f"{agreement.num_false_bad:,} false bad)\n"
        f"         first error named in {percent(first.num_found, first.num_erroneous)} of wrong "
        f"solutions, none in {percent(first.num_passed, first.num_correct)} of right ones: F1 {f1}"
    )


def _print_consensus(console: Console, effect: ConsensusEffect) -> None:
    def share(rate: Rate) -> str:
        return percent(rate.part, rate.whole)

    console.print(
        f"[bold]teacher[/]  it agrees on {effect.kept.part:,} of {effect.kept.whole:,} solutions; "
        f"first error right in {share(effect.right_before)} of all,\n"
        f"         in {share(effect.right_after)} where both agree, by the teacher alone in "
        f"{share(effect.right_by_teacher)}"
    )
