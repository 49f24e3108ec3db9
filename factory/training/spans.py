"""Text as token ids, with a label on the tokens in some of its spans, and on no other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNTRAINED = -100


class TokenExample(TypedDict):
    """`labels` are the ids themselves where the model learns to write them, else -100."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of characters."""

    start: int
    end: int


def labelled(
    tokenizer: "PreTrainedTokenizerBase", text: str, spans: Sequence[Span]
) -> TokenExample:
    """A token is learnt if all its characters lie in one span."""
    ids, offsets = _tokens(tokenizer, text, [span.start for span in spans])
    labels = [UNTRAINED] * len(ids)
    waiting = iter(spans)
    span = next(waiting, None)
    for i, (start, end) in enumerate(offsets):
        while span is not None and start >= span.end:
            span = next(waiting, None)
        if span is not None and span.start <= start < end <= span.end:
            labels[i] = ids[i]
    return TokenExample(input_ids=ids, labels=labels)


def _tokens(
    tokenizer: "PreTrainedTokenizerBase", text: str, begins: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids and offsets. A scorer's prompt ends where writing begins, so no token reaches over."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, offsets = list(encoded["input_ids"]), list(_joined(encoded["offset_mapping"]))
    starts = {start for start, _ in offsets}
    cut = next((b for b in reversed(begins) if 0 < b < len(text) and b not in starts), None)
    if cut is None:
        return ids, offsets
    ids, offsets = _tokens(tokenizer, text[:cut], [b for b in begins if b < cut])
    more, places = _tokens(tokenizer, text[cut:], [])
    return ids + more, offsets + [(start + cut, end + cut) for start, end in places]


def _joined(offsets: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Some tokenizers leave the white space of a token out of its offsets: then it begins where the
    one before ends."""
    last = 0
    for start, end in offsets:
        yield min(start, last), end
        last = max(last, end)
