"""How a model is asked to solve a problem."""

from dataclasses import dataclass

from schemas.generation import Message, Prompt

STEP_BY_STEP = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvePrompt:
    """System text, the question as the user's turn, and what the answer starts with.

    The default system text is Qwen2.5-Math's. `None` sends no system message.
    """

    system: str | None = STEP_BY_STEP

    def __call__(self, question: str, prefix: str = "") -> Prompt:
        """The prompt to go on from `prefix`, the first steps of a solution."""
        system = () if self.system is None else (Message(role="system", content=self.system),)
        return Prompt(messages=(*system, Message(role="user", content=question)), prefix=prefix)
