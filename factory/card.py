"""The dataset card: what the rows are, how they were made, and how to load them."""

import json
from typing import Any

import yaml

from factory.core.planners import NoRollouts
from factory.core.rationale_rows import FORMATS
from factory.report.audit import audit_sentence
from factory.report.tables import funnel_lines, percent, rationale_lines
from factory.shards import published_schema
from schemas.ids import content_id
from schemas.manifest import Manifest
from schemas.published import PublishedConsensus, PublishedSolution


def dataset_card(manifest: Manifest, output_format: str) -> str:
    """README.md with the YAML header the Hub and `datasets` read."""
    header = yaml.safe_dump(_header(manifest, output_format), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n{_body(manifest, output_format)}"


def _header(manifest: Manifest, output_format: str) -> dict[str, Any]:
    header: dict[str, Any] = {
        "pretty_name": "Process labels",
        "task_categories": ["token-classification", "text-generation"],
        "tags": [
            "process-reward-model",
            "step-labels",
            *(["monte-carlo"] if _has_counts(manifest) else []),
            "prm-factory",
        ],
    }
    if output_format == "parquet":
        parts = _parts(manifest)
        header["configs"] = [
            {
                "config_name": "default" if name == "data" else name,
                "version": _version(manifest, name),
                "data_files": [{"split": "train", "path": f"{name}/train-*.parquet"}],
            }
            for name in parts
        ]
        header["dataset_info"] = [
            {
                "config_name": "default" if name == "data" else name,
                "features": _features(record),
            }
            for name, record in parts.items()
        ]
    return header


def _version(manifest: Manifest, part: str) -> str:
    """Names the part's shards: `datasets` caches what it loads from a folder by its card alone, and
    would go on giving out the rows of a folder that has grown since."""
    shards = [shard.sha256 for shard in manifest.shards if shard.path.startswith(f"{part}/")]
    return f"0.0.{int(content_id(*shards)[:7], 16)}"


def _parts(manifest: Manifest) -> dict[str, type]:
    """The dataset's folders with the type of their rows, as far as there are any."""
    records: dict[str, type] = {"data": PublishedSolution, "consensus": PublishedConsensus}
    if teaching := manifest.recipe["teaching"]:
        form = FORMATS.get(teaching["form"]["type"])
        records |= {"rationales": form.record} if form else {}
    there = {shard.path.partition("/")[0] for shard in manifest.shards} | {"data"}
    return {name: record for name, record in records.items() if name in there}


def _features(record: type) -> Any:
    from datasets import DatasetInfo, Features

    info = DatasetInfo(features=Features.from_arrow_schema(published_schema(record)))
    return info._to_yaml_dict()["features"]


def _progress(manifest: Manifest) -> str:
    """How far the job is; nothing once it is complete."""
    if manifest.is_complete:
        return ""
    num_done = manifest.summary["num_problems"]
    return (
        f"> In progress: {num_done:,} of {manifest.num_problems:,} problems so far. The shards\n"
        "> that are here stay as they are, others follow.\n\n"
    )


def _contents(manifest: Manifest) -> str:
    summary = manifest.summary
    if not summary["num_solutions"]:
        return (
            "No solution: every problem was dropped or failed, for the reasons below. `datasets`\n"
            "loads Parquet without rows only with `streaming=True`."
        )
    steps = summary["num_steps"]
    return (
        f"{summary['num_solutions']:,} solutions of {summary['num_problems_ok']:,} problems, "
        f"{steps:,} steps: {percent(summary['num_good'], steps)} good, "
        f"{percent(summary['num_bad'], steps)} bad, {percent(summary['num_undecided'], steps)} "
        f"without a label.\n{_evidence(manifest)}"
    )


def _has_counts(manifest: Manifest) -> bool:
    planner: str = manifest.recipe["planner"]["type"]
    return planner != NoRollouts.__name__


def _evidence(manifest: Manifest) -> str:
    if _has_counts(manifest):
        return "Each label comes with the counts it was made from."
    return "The labels came with the problems; no rollout stands behind them."


def _model(model: dict[str, Any]) -> str:
    if model["fingerprint"]:
        return f"`{model['model']}`, its files' fingerprint `{model['fingerprint']}`"
    revision = model.get("revision")
    return f"`{model['model']}`" + (f", revision `{revision}`" if revision else "")


def _body(manifest: Manifest, output_format: str) -> str:
    summary, recipe = manifest.summary, manifest.recipe
    load = (
        'load_dataset("<this dataset>", split="train")'
        if output_format == "parquet"
        else 'load_from_disk("<this folder>")'
    )
    models = "\n".join(
        f"| {role} | {_model(model)} |" for role, model in manifest.models.items() if model
    )
    funnel = "\n".join(f"- {line}" for line in funnel_lines(summary))
    return f"""# Process labels by `{recipe["name"]}`

{_progress(manifest)}{_contents(manifest)}

```python
from datasets import {load.split("(")[0]}

rows = {load}
```

{_trust(manifest)}{_teacher(manifest)}## How it was made

Recipe `{recipe["name"]}`: {recipe["summary"]}.

| | |
|---|---|
| problems | `{manifest.problems}` |
{models}
| digest | `{manifest.digest}`, of the evidence alone `{manifest.evidence_digest}` |
| seed | {manifest.seed} |
| grader | {manifest.grader} |

{funnel}
- {summary["num_rollouts"]:,} rollouts behind the published steps; where solutions begin alike, they
  share rollouts, and each counts them
- {summary["num_rollout_tokens"]:,} tokens generated, those of every rollout once
- {summary["num_rollouts_truncated"]:,} rollouts were cut at a limit,
  {summary["num_rollouts_ungraded"]:,} could not be graded and count as neither right nor wrong

## Columns

`prompt`, `completions` and `labels` go to a stepwise trainer as they are: equally long, no gaps.
Where a step has no label, the solution ends before it there, and `unlabelled_steps` holds the rest.
The lists `step_labels`, `mc_scores`, `progress`, `num_rollouts`, `num_correct`, `num_ungraded`,
`num_truncated`, `num_rollout_tokens`, `num_first`, `num_first_correct` and `stop_reasons` have one
entry per step of the whole solution. {_about_counts(manifest)}{_teacher_columns(manifest)}

## The recipe, in full

```json
{json.dumps(recipe, indent=2)}
```

Versions: {", ".join(f"{k} {v}" for k, v in manifest.versions.items())}.
"""


def _teacher(manifest: Manifest) -> str:
    """What became of the teacher's rationales; nothing without a teacher."""
    summary = manifest.summary
    if not summary["num_rationales"]:
        return ""
    lines = "\n".join(f"- {line}" for line in rationale_lines(summary))
    parts = {
        "rationales": "kept rationales, for training a generative model",
        "consensus": "solutions on whose first error teacher and labels agree, cut behind it",
    }
    if manifest.recipe["curation"]["is_balanced"]:
        lines += "\n- balanced within each shard: as many kept with an error as without"
    there = "\n".join(
        f'- `load_dataset("<this dataset>", "{name}", split="train")`: {what}'
        for name, what in parts.items()
        if name in _parts(manifest)
    )
    return f"## What the teacher wrote\n\n{lines}\n\n{there}\n\n"


def _about_counts(manifest: Manifest) -> str:
    if not _has_counts(manifest):
        return "There are no counts: all of them are 0, and scores are null."
    return (
        "The last step is the whole solution: its score is whether the\nanswer is right, and no "
        "rollout is spent on it (`known_outcome`). With the counts, hard, soft and\n"
        "relative-progress labels can be made again at any threshold."
    )


def _teacher_columns(manifest: Manifest) -> str:
    if not manifest.recipe["teaching"]:
        return ""
    return (
        " `teacher_labels` are the teacher's\nverdicts, `is_consensus` says whether they agree "
        "with the labels as the recipe asks, and\n`consensus_reason` why not."
    )


def _trust(manifest: Manifest) -> str:
    """What the labels claim of themselves, and what an audit found; nothing without either."""
    lines = []
    if claim := manifest.summary["claim"]:
        terms = {
            "prior": claim["prior"] and f"prior `{claim['prior']}`",
            "price": claim["price"] is not None and f"price {claim['price']:g}",
            "cost_ratio": claim["cost_ratio"]
            and f"a bad step called good counting {claim['cost_ratio']:g} times a good one "
            "called bad",
        }
        under = ", ".join(term for term in terms.values() if term)
        lines.append(
            f"Claimed: {100 * claim['claimed_error']:.1f} % of labels are wrong by the recipe's "
            f"own posterior{f' ({under})' if under else ''}; {100 * claim['share_decided']:.1f} % "
            "of steps are decided."
        )
    if manifest.audit:
        lines.append(audit_sentence(manifest.audit))
    elif lines:
        lines.append("Not audited yet: `prm-factory audit` checks the claim with fresh rollouts.")
    return "## How far to trust a label\n\n" + "\n".join(lines) + "\n\n" if lines else ""
