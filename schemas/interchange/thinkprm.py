"""ThinkPRM-1K: prefixes of PRM800K solutions with labels and a verifier's text. Read only.

Format: launch/thinkprm-1K-verification-cots (arXiv 2504.16828): problem, prefix, cot,
prefix_steps, gt_step_labels ("+", "-"), prefix_label.
"""

from schemas.interchange.fields import optional_text, text, texts, truths
from schemas.interchange.labelled import LabelledSolution, Row, Skip, metadata_json
from schemas.interchange.numbering import unnumbered

COLUMNS = ("problem", "prefix", "cot", "prefix_steps", "gt_step_labels", "prefix_label")


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One prefix as a solution; the verifier's text goes to the metadata as `cot`.

    Labels that end at the first error leave the steps after it without one. `prefix` is the steps
    once more, and `prefix_label` says whether any is bad, not whether an answer is right; neither
    is kept. Raises Skip where there are more labels than steps.
    """
    steps, labels = texts(row, "prefix_steps"), truths(row, "gt_step_labels")
    if len(labels) > len(steps):
        raise Skip("more labels than steps")
    return (
        LabelledSolution(
            question=text(row, "problem"),
            steps=unnumbered(steps),
            labels=(*labels, *[None] * (len(steps) - len(labels))),
            metadata=metadata_json({"cot": optional_text(row, "cot")}),
        ),
    )
