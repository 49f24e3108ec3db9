"""The published dataset: one row per solution.

`prompt`, `completions` and `labels` are what TRL's and axolotl's stepwise trainers take. The
columns of counts are lists with one entry per step, in parallel to one another: reading only the
labels or only the scores of a Parquet file is then many times cheaper than with a list of structs,
and `completions` and `labels` have to be lists of their own anyway.
"""

from dataclasses import dataclass

from schemas.generation import Message
from schemas.records import SCHEMA_VERSION

PER_STEP = (
    "step_labels", "mc_scores", "progress", "num_rollouts", "num_correct", "num_ungraded",
    "num_truncated", "num_rollout_tokens", "num_first", "num_first_correct", "stop_reasons",
    "teacher_labels",
)  # fmt: skip
"""The columns with one entry per step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSolution:
    """A labelled solution with T steps, of which the first L have a label without a gap."""

    prompt: str
    """The question."""
    completions: tuple[str, ...]
    """L steps, without the whitespace around them."""
    labels: tuple[bool, ...]
    """L labels: is the step good?"""
    unlabelled_steps: tuple[str, ...]
    """The T - L steps from the first one on that has no label; usually none."""
    step_labels: tuple[bool | None, ...]
    """T labels; null where there is no evidence."""
    mc_scores: tuple[float | None, ...]
    """T shares of right rollouts after the step: the soft labels. A recipe may count the steps
    after an error as 0; the counts below never change."""
    progress: tuple[float | None, ...]
    """T ratios of the MC score after the step to the one before it."""
    num_rollouts: tuple[int, ...]
    num_correct: tuple[int, ...]
    num_ungraded: tuple[int, ...]
    """Rollouts that the grader could not decide or the completer's context cut; not among
    num_rollouts."""
    num_truncated: tuple[int, ...]
    num_rollout_tokens: tuple[int, ...]
    num_first: tuple[int, ...]
    """Rollouts of the first batch: their share of successes is unbiased by any stopping rule."""
    num_first_correct: tuple[int, ...]
    stop_reasons: tuple[str, ...]
    p_good: tuple[float | None, ...]
    """T probabilities that the step is good; null from recipes that have no prior. So are the
    columns from here to `log_e_bad`."""
    is_decided: tuple[bool | None, ...]
    """T marks: is the label right with at least the probability the recipe asks for?"""
    value_means: tuple[float | None, ...]
    """T posterior means of the MC score: soft labels that no stopping rule biases much."""
    value_lows: tuple[float | None, ...]
    """T bounds of their 90 % credible intervals."""
    value_highs: tuple[float | None, ...]
    death_probabilities: tuple[float | None, ...]
    """T probabilities that no rollout from the prefix can be right."""
    progress_lows: tuple[float | None, ...]
    """T bounds of the ratio of values, valid at any stopping time, 90 %."""
    progress_highs: tuple[float | None, ...]
    log_e_good: tuple[float | None, ...]
    """T log e-values against progress below the threshold: at least log(1 / alpha) certifies a
    good step at level alpha, without a prior."""
    log_e_bad: tuple[float | None, ...]
    """The same against progress of at least the threshold."""
    num_rounds: tuple[int, ...]
    teacher_labels: tuple[bool | None, ...]
    """T verdicts of the teacher, null behind the first bad one; all null where it said nothing
    that can be read, or was not asked. Of several rationales what most say."""
    first_error: int | None
    """0-based index of the first bad step; null when no step is bad."""
    num_rationales: int
    """Texts the teacher wrote of this solution."""
    is_consensus: bool | None
    """Whether teacher and label agree as the recipe asks, and its other filters keep a rationale;
    null without a teacher."""
    consensus_reason: str | None
    """Why not, of the first rationale; null where one is kept."""
    answer: str | None
    """The solution's own answer."""
    is_correct: bool | None
    """Whether it equals the reference; null when nobody can tell."""
    reference_answer: str
    root_num_rollouts: int
    root_num_correct: int
    """The bare problem: of so many attempts so many were right."""
    num_samples: int
    """How often the generator wrote exactly this solution."""
    problem_id: str
    solution_id: str
    metadata: str | None
    """JSON of the problem's other columns."""
    recipe: str
    digest: str
    """Names recipe, models, grader, seed and schema; spelled out in the dataset's manifest."""
    generator: str | None
    completer: str | None
    teacher: str | None
    sampling: str
    """JSON: how the solutions were sampled."""
    completing: str
    """JSON: how the rollouts were sampled."""
    seed: int
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if len(self.completions) != len(self.labels):
            raise ValueError(
                f"{len(self.labels)} labels for {len(self.completions)} completions "
                f"in solution {self.solution_id}"
            )
        num_steps = len(self.completions) + len(self.unlabelled_steps)
        for name in PER_STEP:
            if (num_entries := len(getattr(self, name))) != num_steps:
                raise ValueError(
                    f"{num_entries} {name} for {num_steps} steps in solution {self.solution_id}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedConversation:
    """A kept rationale in GenPRM's form (arXiv 2504.00891): the steps as user's turns, the critique
    of each as assistant's, executed output in place. Loss belongs on the assistant's turns."""

    conversations: tuple[Message, ...]
    first_error: int | None
    """As the teacher names it, and the labels agree."""
    num_tokens: int
    """Generated by the teacher."""
    problem_id: str
    solution_id: str
    rationale_id: str
    teacher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedChain:
    """A kept rationale in ThinkPRM's form (arXiv 2504.16828)."""

    problem: str
    prefix: str
    """The judged steps, a line each."""
    cot: str
    """The chain in think tags, cut after its last decision, then whether all steps are right."""
    prefix_steps: tuple[str, ...]
    gt_step_labels: tuple[str, ...]
    """"+" or "-", one per step."""
    prefix_label: bool
    num_tokens: int
    problem_id: str
    solution_id: str
    rationale_id: str
    teacher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedConsensus:
    """A solution on whose first error both agree, cut behind it (arXiv 2501.07301)."""

    prompt: str
    completions: tuple[str, ...]
    labels: tuple[bool, ...]
    first_error: int | None
    problem_id: str
    solution_id: str
    teacher: str
