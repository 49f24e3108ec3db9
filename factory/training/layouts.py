"""How a problem and its steps become token ids with one separator at the end of each step.

A discriminative PRM is read at the separators and nowhere else, so trainer and scorer have to put
them in the same places. Both go through `Layout.encode`. What is known to go wrong is checked: a
separator of several tokens, one that merges with its neighbours, one that stands in the text.

`extra_0` is Qwen2.5-Math-PRM's (arXiv 2501.07301 and its model card): the chat template of a
system text, the problem, and the steps, each followed by `<extra_0>`.

`trl` is that of TRL's PRMTrainer, which TRL no longer has in 1.16 and models trained by it live on:
the problem's ids, then each step's ids and the separator's, by default a line break. Nothing stands
between problem and first step. Its separators are where they are by construction: a step may hold
line breaks of its own, so whoever counts ids of the separator instead of asking for positions will
find more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from factory.core.prompts import STEP_BY_STEP
from factory.errors import InputError, shortened

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EXTRA_0, TRL = "extra_0", "trl"
SEPARATORS = {EXTRA_0: "<extra_0>", TRL: "\n"}
"""The separator of each layout, unless another is chosen."""


class LayoutError(ValueError):
    """One solution that cannot be laid out; others can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A solution as the model reads it."""

    input_ids: tuple[int, ...]
    separator_positions: tuple[int, ...]
    """Where each step ends: indices into `input_ids`, one per step, increasing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Name, separator, and the system text of the chat; `trl` has no chat and no system text."""

    name: str = EXTRA_0
    separator: str = SEPARATORS[EXTRA_0]
    system: str | None = STEP_BY_STEP
    """`None` sends no system message."""

    def __post_init__(self) -> None:
        if self.name not in SEPARATORS:
            raise InputError(f"no layout {self.name!r}: there are {', '.join(SEPARATORS)}")
        if not self.separator:
            raise InputError("a layout needs a separator: it is what the model is read at")

    def separator_id(self, tokenizer: "PreTrainedTokenizerBase") -> int:
        """The separator's one token.

        Raises InputError if it is not one token by itself, or (`extra_0`) not found as often
        between texts as it was put there.
        """
        ids = _ids(tokenizer, self.separator)
        if len(ids) != 1:
            raise InputError(
                f"the separator {self.separator!r} is {len(ids)} tokens for this tokenizer and has "
                "to be one: choose another with --separator, or let it be added as a special token"
            )
        if ids[0] == tokenizer.unk_token_id:
            raise InputError(f"the separator {self.separator!r} is unknown to this tokenizer")
        if self.name == EXTRA_0:
            self._check_between_texts(tokenizer, ids[0])
        return ids[0]

    def encode(
        self, tokenizer: "PreTrainedTokenizerBase", problem: str, steps: Sequence[str]
    ) -> Encoded:
        """Ids, and where each of the steps ends. White space around a step is not part of it.

        Raises LayoutError without steps, and (`extra_0`) if the separator is not found exactly as
        often as there are steps: then problem or steps hold it themselves.
        """
        if not steps:
            raise LayoutError("a solution without steps")
        steps = [step.strip() for step in steps]
        if self.name == TRL:
            return self._joined(tokenizer, problem, steps)
        return self._chat(tokenizer, problem, steps)

    def _chat(
        self, tokenizer: "PreTrainedTokenizerBase", problem: str, steps: Sequence[str]
    ) -> Encoded:
        answer = "".join(f"{step}{self.separator}" for step in steps)
        messages = [{"role": "user", "content": problem}, {"role": "assistant", "content": answer}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        ids = _ids(tokenizer, rendered(tokenizer, messages))
        separator = _ids(tokenizer, self.separator)[0]
        positions = tuple(i for i, token in enumerate(ids) if token == separator)
        if len(positions) != len(steps):
            raise LayoutError(
                f"{len(positions)} separators for {len(steps)} steps: a text holds "
                f"{self.separator!r} itself, or the chat template changes the answer"
            )
        return Encoded(input_ids=tuple(ids), separator_positions=positions)

    def _joined(
        self, tokenizer: "PreTrainedTokenizerBase", problem: str, steps: Sequence[str]
    ) -> Encoded:
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        ids = [*start, *_ids(tokenizer, problem)]
        separator = _ids(tokenizer, self.separator)
        positions = []
        for step in steps:
            ids += [*_ids(tokenizer, step), *separator]
            positions.append(len(ids) - 1)
        return Encoded(input_ids=tuple(ids), separator_positions=tuple(positions))

    def _check_between_texts(self, tokenizer: "PreTrainedTokenizerBase", separator: int) -> None:
        steps = ("First, 1 + 1 = 2.", "$x$", "\\boxed{2}", "so", "Wait:\n\n")
        try:
            encoded = self._chat(tokenizer, "What is 1 + 1?", steps)
        except LayoutError as error:
            raise InputError(
                f"the separator {self.separator!r} merges with the text around it: choose "
                f"another with --separator ({error})"
            ) from error
        assert all(encoded.input_ids[i] == separator for i in encoded.separator_positions)


def layout_named(
    name: str, *, separator: str | None = None, system: str | None = STEP_BY_STEP
) -> Layout:
    """The layout of that name with its own separator unless another is given.

    Raises InputError for an unknown name.
    """
    return Layout(
        name=name,
        separator=SEPARATORS.get(name, "") if separator is None else separator,
        system=system if name == EXTRA_0 else None,
    )


def layout_like(
    known: Layout, *, name: str | None, separator: str | None, system: str | None
) -> Layout:
    """What is given, and for the rest what is known; another layout is known by its name alone.

    Raises InputError for a system text where the layout has none; "" is no system text.
    """
    found = known if name in (None, known.name) else layout_named(str(name))
    if separator is not None:
        found = replace(found, separator=separator)
    if system and found.name == TRL:
        raise InputError(f"the layout {TRL} has no system text: leave --system out")
    return found if system is None else replace(found, system=system or None)


def add_separator(tokenizer: "PreTrainedTokenizerBase", layout: Layout) -> bool:
    """Makes the separator a special token where `extra_0` needs it; whether that changed anything.

    The model then needs a row for it: see `factory.training.models`. A separator that is one token
    already, special or not, stays as it is; so do those of `trl`, which are ordinary text.
    """
    if layout.name == TRL or len(_ids(tokenizer, layout.separator)) == 1:
        return False
    from transformers import AddedToken

    # Not `add_special_tokens`, which would replace the list of those that are there.
    tokenizer.add_tokens(
        [AddedToken(layout.separator, special=True, normalized=False)], special_tokens=True
    )
    return True


def _ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    assert isinstance(ids, list)
    return ids


def rendered(
    tokenizer: "PreTrainedTokenizerBase", messages: list[dict[str, str]], *, asks: bool = False
) -> str:
    """The chat template's text; `asks` ends it where the assistant is to begin.

    Raises InputError without a template and where the template refuses the messages.
    """
    if not tokenizer.chat_template:
        raise InputError(
            "this tokenizer has no chat template: use --layout trl, or an instruct model"
        )
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
    except TemplateError as error:
        raise InputError(
            f"the chat template refuses the layout: {shortened(error)}; without a system text "
            "(--system '') it may take it"
        ) from error
    assert isinstance(text, str)
    return text
