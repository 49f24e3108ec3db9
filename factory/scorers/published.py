"""What published generative PRMs were trained to be asked; their checkpoints do not say it.

GenPRM's system text is that of its data set (GenPRM/GenPRM-MATH-Data) and of its evaluation; its
turns are those of `forms.ConversationForm`. ThinkPRM's request is that of its model cards
(launch/ThinkPRM-1.5B and others), whose chains begin with words that are put in its mouth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.teachers.form import asked
from factory.core.teachers.thinkprm import ThinkPrmForm, numbered
from schemas.generation import Prompt

GENPRM_SYSTEM = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution step "
    "by step."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedThinkPrmForm(ThinkPrmForm):
    """Steps with a boxed decision each, asked for as ThinkPRM's own models are."""

    request: str = (
        "Review and critique each step in the proposed solution to determine whether each step is "
        "correct. If the solution is incomplete, only verify the provided steps."
    )
    """Comes behind problem and steps."""
    opening: str = "\nLet's verify step by step:"

    def prompt(self, question: str, steps: Sequence[str]) -> Prompt:
        return asked(
            self.system,
            "You are given a math problem and a proposed step-by-step solution:",
            f"[Math Problem]\n\n{question}",
            f"[Solution]\n\n{numbered(steps)}",
            self.request,
            prefix=self.opening,
        )
