"""What agreement with a teacher does to labels: their error before and after, and what it costs.

One job on toy problems: sampled solutions, 32 rollouts at every prefix, one rationale each by the
shipped tiny teacher, its code executed in the sandbox. The same counts and the same rationales
are then labelled by several rules, so that the rules differ in nothing else.
"""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factory.bench.report import write_report
from factory.core.labelers import HardEstimation, RelativeProgress
from factory.core.publishing import publish_group
from factory.demo import toy_job
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.publish import provenance_of
from factory.recipes import load_recipe
from factory.toy.consensus import ConsensusEffect, Rate, consensus_effect
from factory.watching.stage_run import unwatched
from schemas.arrow import to_row
from schemas.manifest import Manifest

NUM_PROBLEMS = 120
MAX_SOLUTIONS = 4
NUM_ROLLOUTS = 32
RECIPE = """\
from dataclasses import replace
from factory.core.planners import FixedK
from factory.core.selection import Selection
from factory.recipes.genprm import RECIPE as GENPRM

RECIPE = replace(
    GENPRM,
    name="consensus-bench",
    num_solutions=16,
    planner=FixedK(num_rollouts={num_rollouts}),
    selection=Selection(min_correct=1, min_wrong=1, max_solutions={max_solutions}),
)
"""


def measure(folder: Path, num_problems: int = NUM_PROBLEMS) -> None:
    """Runs the job, labels it by each rule, prints a table and writes `consensus.json`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe = folder.resolve() / "recipe.py"
    recipe.write_text(
        RECIPE.format(num_rollouts=NUM_ROLLOUTS, max_solutions=MAX_SOLUTIONS), encoding="utf-8"
    )
    job = toy_job(folder / "job", num_problems, str(recipe))
    manifest = label(job, folder / "job", unwatched)
    effects = {name: _effect(folder / "job", manifest, rule) for name, rule in _rules().items()}
    _print_table(effects)
    critique = manifest.stages["critique"]
    write_report(
        "consensus",
        {
            "num_solutions": next(iter(effects.values())).kept.whole,
            "rules": {name: _figures(effect) for name, effect in effects.items()},
            "rationales_dropped": manifest.summary["rationales_dropped"],
            "num_contradictions": manifest.summary["num_contradictions"],
            "num_code_blocks": manifest.summary["num_code_blocks"],
            "num_code_failures": manifest.summary["num_code_failures"],
            "teacher_tokens": manifest.summary["num_teacher_tokens"],
            "rollout_tokens": manifest.summary["num_rollout_tokens"],
            "critique_s": critique["seconds"],
        },
    )


def _rules() -> dict[str, Any]:
    return {
        "relative progress": RelativeProgress(),
        "hard": HardEstimation(),
        "adaptive": load_recipe("adaptive").labeler,
    }


def _effect(folder: Path, manifest: Manifest, rule: Any) -> ConsensusEffect:
    """The stored counts and rationales under another rule."""
    curation = load_recipe("genprm").curation
    provenance = provenance_of(manifest)
    job = JobFolder(path=folder.resolve())
    groups = job.groups(job.last_stage(manifest.recipe))
    published = (publish_group(g, rule, provenance, curation) for g in groups)
    return consensus_effect(to_row(row) for one in published for row in one.solutions)


def _figures(effect: ConsensusEffect) -> dict[str, Any]:
    """Errors are shares of solutions whose first error is named wrongly, and of steps."""
    return {
        "solution_error_before": _error(effect.right_before),
        "solution_error_after": _error(effect.right_after),
        "solution_error_of_teacher": _error(effect.right_by_teacher),
        "step_error_before": effect.steps_wrong_before.share,
        "step_error_after": effect.steps_wrong_after.share,
        "share_discarded": _error(effect.kept),
        "share_kept_with_error": effect.kept_with_error.share,
        "share_kept_without_error": effect.kept_without_error.share,
        "counts": asdict(effect),
    }


def _error(right: Rate) -> float | None:
    return None if right.share is None else 1 - right.share


def _print_table(effects: dict[str, ConsensusEffect]) -> None:
    print(
        f"{'labels by':<20}{'solutions wrong':>16}{'after':>8}{'teacher':>9}"
        f"{'steps wrong':>13}{'after':>8}{'discarded':>11}{'kept, true error / none':>26}"
    )
    for name, effect in effects.items():
        f = _figures(effect)
        print(
            f"{name:<20}{f['solution_error_before']:>16.1%}{f['solution_error_after']:>8.1%}"
            f"{f['solution_error_of_teacher']:>9.1%}{f['step_error_before']:>13.1%}"
            f"{f['step_error_after']:>8.1%}{f['share_discarded']:>11.1%}"
            f"{f['share_kept_with_error']:>15.1%} /{f['share_kept_without_error']:>7.1%}"
        )
