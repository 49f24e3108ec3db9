"""The dataset card: what the rows are, how they were made, and how to load them."""

import json
from typing import Any

import yaml

from factory.report.tables import funnel_lines, percent
from factory.shards import published_schema
from schemas.manifest import Manifest


def dataset_card(manifest: Manifest, output_format: str) -> str:
    """README.md with the YAML header the Hub and `datasets` read."""
    header = yaml.safe_dump(_header(output_format), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n{_body(manifest, output_format)}"


def _header(output_format: str) -> dict[str, Any]:
    from datasets import DatasetInfo, Features

    info = DatasetInfo(features=Features.from_arrow_schema(published_schema()))
    header: dict[str, Any] = {
        "pretty_name": "Process labels",
        "task_categories": ["token-classification", "text-generation"],
        "tags": ["process-reward-model", "step-labels", "monte-carlo", "prm-factory"],
    }
    if output_format == "parquet":
        header["configs"] = [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
            }
        ]
        header["dataset_info"] = {"features": info._to_yaml_dict()["features"]}
    return header


def _body(manifest: Manifest, output_format: str) -> str:
    summary, recipe = manifest.summary, manifest.recipe
    steps = summary["num_steps"]
    load = (
        'load_dataset("<this dataset>", split="train")'
        if output_format == "parquet"
        else 'load_from_disk("<this folder>")'
    )
    models = "\n".join(
        f"| {role} | `{model['model']}` | `{model['fingerprint'] or 'by its Hub revision'}` |"
        for role, model in manifest.models.items()
        if model
    )
    funnel = "\n".join(f"- {line}" for line in funnel_lines(summary))
    return f"""# Process labels by `{recipe["name"]}`

{summary["num_solutions"]:,} solutions of {summary["num_problems_ok"]:,} problems with
{steps:,} labelled steps: {percent(summary["num_good"], steps)} good,
{percent(summary["num_bad"], steps)} bad, {percent(summary["num_undecided"], steps)} without a
label. Each label comes with the counts it was made from.

```python
from datasets import {load.split("(")[0]}

rows = {load}
```

## How it was made

Recipe `{recipe["name"]}`: {recipe["summary"]}. Digest `{manifest.digest}`, evidence
`{manifest.evidence_digest}`, seed {manifest.seed}, graded by {manifest.grader}.

| role | model | files |
|---|---|---|
{models}

{funnel}
- {summary["num_rollouts"]:,} rollouts behind the published steps,
  {summary["num_rollout_tokens"]:,} tokens generated for them
- {summary["num_rollouts_truncated"]:,} rollouts were cut at the token limit,
  {summary["num_rollouts_ungraded"]:,} could not be graded and count as neither right nor wrong

## Columns

`prompt`, `completions` and `labels` go to a stepwise trainer as they are: equally long, no gaps.
Where a step has no label, the solution ends before it there, and `unlabelled_steps` holds the rest.
The lists `step_labels`, `mc_scores`, `progress`, `num_rollouts`, `num_correct`, `num_ungraded`,
`num_truncated`, `num_rollout_tokens`, `num_first`, `num_first_correct` and `stop_reasons` have one
entry per step of the whole solution. The last step is the whole solution: its score is whether the
answer is right, and no rollout is spent on it (`known_outcome`). With the counts, hard, soft and
relative-progress labels can be made again at any threshold.

## The recipe, in full

```json
{json.dumps(recipe, indent=2)}
```

Versions: {", ".join(f"{k} {v}" for k, v in manifest.versions.items())}.
"""
