"""Conversations as token ids with a label on what the model has to write, and on nothing else.

A turn is learnt behind exactly what a scorer will ask it behind: see `factory.training.turns`.

Loss is on the assistant's turns and the token that ends each. Inside them what the interpreter
printed is masked, heading and fences included: the model did not write it, and at inference it is
put there for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from factory.core.sft import ASSISTANT
from factory.core.teachers.genprm_checks import CODE_OUTPUT, FENCE, num_outputs
from factory.core.teachers.thinkprm import ThinkPrmForm, concluded
from factory.errors import InputError, shortened
from factory.training.examples import TOO_LONG, Tally
from factory.training.layouts import LayoutError
from factory.training.settings import ERROR, GENPRM, THINKPRM, TRUNCATE_AT_STEP, TrainSettings
from factory.training.spans import UNTRAINED, Span, TokenExample, labelled
from factory.training.targets import TargetError, are_texts
from factory.training.turns import Context, Messages, turns_of
from schemas.interchange.fields import truths
from schemas.interchange.numbering import unnumbered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

COLUMNS = ("conversations", "problem", "prefix_steps", "cot", "prefix_label", "gt_step_labels")
MARKS = "*#_: \n"
"""Around a heading."""
NO_ANSWER = "no turn of the assistant at the end"
NO_RATIONALE = "no rationale"
NO_LABEL = "nothing says whether its steps are right"
SHAREGPT_ROLES = {"human": "user", "gpt": ASSISTANT}
"""What ShareGPT's `from` calls them; `value` is the content."""


def has_rationale(row: Mapping[str, Any]) -> bool:
    """Whether a row has either form; a table may hold rows whose rationale was dropped."""
    return bool(row.get("conversations") or row.get("cot"))


def form_of(row: Mapping[str, Any]) -> str:
    """Which form a row of rationales has. Raises InputError for neither."""
    if row.get("conversations"):
        return GENPRM
    if row.get("cot"):
        return THINKPRM
    raise InputError(
        "generative models learn from conversations, or from problem, prefix_steps and cot: "
        "choose --part rationales of a dataset made with a teacher"
    )


def messages_of(row: Mapping[str, Any], form: str) -> Messages:
    """A row as a chat that the assistant ends; ThinkPRM's is what a scorer asks, question too.

    Raises TargetError for a row that lacks a part, LayoutError for a chain whose row has no label
    to answer the question by.
    """
    if form == GENPRM:
        return [_message(turn) for turn in row["conversations"] or []]
    problem, steps = row.get("problem"), row.get("prefix_steps")
    if not isinstance(problem, str) or not are_texts(steps):
        raise TargetError("a cot needs problem and prefix_steps: a text and a list of texts")
    prompt = ThinkPrmForm().prompt(problem, unnumbered(steps))
    asked = [{"role": m.role, "content": m.content} for m in prompt.messages]
    return [*asked, {"role": ASSISTANT, "content": concluded(row["cot"], _is_good(row))}]


def _is_good(row: Mapping[str, Any]) -> bool:
    if (label := row.get("prefix_label")) is not None:
        return bool(label)
    if not row.get("gt_step_labels"):
        raise LayoutError(NO_LABEL)
    return all(truths(row, "gt_step_labels"))


def _message(turn: Mapping[str, Any]) -> Mapping[str, str]:
    """A turn by role and content, or in ShareGPT's words."""
    role, content = turn.get("role"), turn.get("content")
    if role is None:
        name = turn.get("from")
        role, content = SHAREGPT_ROLES.get(str(name), name), turn.get("value")
    if not isinstance(role, str) or not isinstance(content, str):
        raise TargetError(
            "a turn of its conversation has neither role and content nor from and value, but "
            f"{shortened(dict(turn))}"
        )
    return {"role": role, "content": content}


def executed_output(text: str) -> Iterator[Span]:
    """Where executed output stands in a text: from its heading to the line after its block."""
    parts = text.split(FENCE)
    ends, position = [], 0
    for part in parts:
        position += len(part)
        ends.append(position)
        position += len(FENCE)
    for i in range(2, len(parts) - 2, 2):
        heading = parts[i].lstrip()
        if heading.strip().strip(MARKS).lower() == CODE_OUTPUT.lower():
            end = ends[i + 1] + len(FENCE)
            end += text.startswith("\n", end)
            yield Span(start=ends[i] - len(heading), end=end)


def num_unknown_outputs(text: str) -> int:
    """What is given out as executed in a form that `executed_output` does not know: another
    heading, or blocks that do not close. It is learnt as the model's own."""
    return max(0, num_outputs(text) - sum(1 for _ in executed_output(text)))


def _said(context: Context) -> Iterator[str]:
    """The assistant's turns that are learnt."""
    for message in context.messages[context.learnt_from :]:
        if message["role"] == ASSISTANT:
            yield message["content"]


def _beginning(row: Mapping[str, Any]) -> str:
    """Names a row by what it begins with: a stream's have no order."""
    return shortened(row.get("problem") or row.get("conversations"), 80)


def encode_conversation(tokenizer: "PreTrainedTokenizerBase", context: Context) -> TokenExample:
    """Ids and labels of one of a conversation's `contexts`.

    Raises LayoutError where it does not end with the assistant's turn.
    """
    messages = context.messages
    if not messages or messages[-1]["role"] != ASSISTANT:
        raise LayoutError(NO_ANSWER)
    end = tokenizer.eos_token
    assert isinstance(end, str), "a model that writes text has an end"
    turns = [t for t in turns_of(tokenizer, messages) if t.place >= context.learnt_from]
    text = turns[-1].text + end
    spans: list[Span] = []
    for turn in turns:
        assert text.startswith(turn.text), "a context holds its turns as they are asked"
        has_end = text.startswith(end, len(turn.text))
        spans += _trained(turn.written, len(turn.prompt), len(end) if has_end else 0)
    return labelled(tokenizer, text, spans)


def _trained(content: str, start: int, end_length: int) -> Iterator[Span]:
    """The parts of a turn that the model has to write; positions count from `start`."""
    position = 0
    for output in executed_output(content):
        yield Span(start=start + position, end=start + output.start)
        position = output.end
    yield Span(start=start + position, end=start + len(content) + end_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationMaker:
    """Makes examples of published rationales; everything but the row is fixed for a run."""

    tokenizer: "PreTrainedTokenizerBase"
    settings: TrainSettings
    form: str
    max_length: int

    def __call__(self, row: Mapping[str, Any], tally: Tally) -> TokenExample | None:
        """The example of a row, or of one of its contexts; `None` where it is dropped.

        Counted either way, as a row only the first of its contexts.
        """
        learnt_from = row.get("learnt_from") or 0
        tally.num_rows += not learnt_from
        if not row.get("conversations" if self.form == GENPRM else "cot"):
            tally.dropped[NO_RATIONALE] += 1
            return None
        try:
            messages = messages_of(row, self.form)
            context = Context(messages=messages, learnt_from=learnt_from)
            example = self._example(context, tally)
            tally.num_unknown_outputs += sum(map(num_unknown_outputs, _said(context)))
        except TargetError as error:
            raise InputError(
                f"row {tally.num_rows:,} of the data: {error} ({_beginning(row)})"
            ) from error
        except LayoutError as error:
            tally.dropped[str(error)] += 1
            return None
        if example is None:
            tally.dropped[TOO_LONG] += 1
            return None
        tally.num_examples += 1
        tally.num_tokens += len(example["input_ids"])
        tally.num_trained_tokens += sum(label != UNTRAINED for label in example["labels"])
        return example

    def _example(self, context: Context, tally: Tally) -> TokenExample | None:
        """Whole, or cut after the last of the assistant's turns that fits; `None` if none does."""
        example = encode_conversation(self.tokenizer, context)
        if len(example["input_ids"]) <= self.max_length:
            return example
        if self.settings.too_long == ERROR:
            raise InputError(
                f"row {tally.num_rows:,} of the data has {len(example['input_ids']):,} tokens, "
                f"more than {self.max_length:,}: raise --max-length, or choose --too-long drop "
                f"({shortened(context.messages[0]['content'], 60)!r})"
            )
        if self.settings.too_long == TRUNCATE_AT_STEP:
            for stop in range(len(context.messages) - 1, context.learnt_from, -1):
                if context.messages[stop - 1]["role"] != ASSISTANT:
                    continue
                cut = replace(context, messages=context.messages[:stop])
                example = encode_conversation(self.tokenizer, cut)
                if len(example["input_ids"]) <= self.max_length:
                    tally.num_truncated += 1
                    return example
        return None
