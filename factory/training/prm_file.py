"""`prm.json` beside a model's config.json: what a scorer has to know to use the model as a PRM."""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.training.layouts import Layout
from schemas.manifest import write_atomically

PRM_FILE = "prm.json"
GOOD_WORDS = frozenset({"good", "correct", "positive", "true", "right", "yes", "valid", "+"})
BAD_WORDS = frozenset(
    {"bad", "incorrect", "negative", "false", "wrong", "no", "not", "invalid", "error", "-"}
)
DISCRIMINATIVE, GENERATIVE = "discriminative", "generative"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrmFile:
    """A PRM's layout or form, and what it was trained on."""

    kind: str
    """"discriminative": two classes at each separator. "generative": a text with judgements."""
    layout: str | None = None
    """The name of the layout; null for a generative model. So are `separator` and `good_label`."""
    separator: str | None = None
    system: str | None = None
    """Null sends no system message."""
    good_label: int | None = None
    """The class whose softmax probability is that of a good step."""
    form: str | None = None
    """"genprm" or "thinkprm" for a generative model, else null."""
    data: dict[str, Any] = field(default_factory=dict)
    """Where the labels came from, their digest and kind, and what became of the rows."""
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in (DISCRIMINATIVE, GENERATIVE):
            raise ValueError(f"no kind {self.kind!r} of PRM: {DISCRIMINATIVE} or {GENERATIVE}")
        needed = ("layout", "separator", "good_label") if self.kind == DISCRIMINATIVE else ("form",)
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"a {self.kind} PRM needs {', '.join(missing)}")
        if not isinstance(self.separator, str | None):
            raise ValueError(f"separator has to be text, not {self.separator!r}")
        if self.good_label not in (None, 0, 1):
            raise ValueError(f"good_label has to be 0 or 1, not {self.good_label!r}")

    @property
    def as_layout(self) -> Layout:
        """The layout of a discriminative model."""
        assert self.layout is not None
        assert self.separator is not None
        return Layout(name=self.layout, separator=self.separator, system=self.system)


def read_prm_file(folder: Path) -> PrmFile | None:
    """What is written beside a model, `None` where there is no `prm.json`.

    Fields this version does not know are left out. Raises InputError for a damaged file.
    """
    path = folder / PRM_FILE
    if not path.is_file():
        return None
    known = {entry.name for entry in fields(PrmFile)}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        prm = PrmFile(**{name: value for name, value in content.items() if name in known})
        if prm.kind == DISCRIMINATIVE:
            _ = prm.as_layout  # of a known name
        return prm
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {shortened(error)}; train again") from error


def good_class(names: Any) -> int:
    """The class of good steps by the names in a config.json (`id2label`): the first where the names
    say so, else the second, as in Qwen2.5-Math-PRM's."""
    known = names if isinstance(names, dict) else {}
    first, second = (_tone(str(known.get(str(i), known.get(i)))) for i in (0, 1))
    return 0 if first > second else 1


def _tone(name: str) -> int:
    """1 for a name of what is good, -1 of what is bad, 0 of neither."""
    words = set(re.findall(r"[a-z]+|[+-]", name.lower()))
    return -1 if words & BAD_WORDS else int(bool(words & GOOD_WORDS))


def is_judging(architecture: str) -> bool:
    """Whether a model has a head that judges, so that how it is read matters."""
    return "Classification" in architecture or "Reward" in architecture


def hub_prm_file(model: str, revision: str | None, *, is_needed: bool) -> PrmFile | None:
    """What is written beside a model on the Hub; `None` where there is nothing.

    Raises InputError where that is not known, if it is needed: without it the model would be read
    in another way than it was trained.
    """
    from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        return read_prm_file(Path(hf_hub_download(model, PRM_FILE, revision=revision)).parent)
    except RemoteEntryNotFoundError:
        return None
    except OSError as error:
        is_known = try_to_load_from_cache(model, PRM_FILE, revision=revision) is _CACHED_NO_EXIST
        if is_known or not is_needed:
            return None
        raise InputError(
            f"whether {model} has a {PRM_FILE}, which says how it is read, is not known: the Hub "
            f"cannot be asked and the cache does not say; fetch it where the Hub is in reach, by "
            f"'hf download {model}'"
        ) from error


def write_prm_file(folder: Path, prm: PrmFile) -> None:
    """Puts the file in place in one step."""
    text = json.dumps(asdict(prm), indent=2, ensure_ascii=False)
    write_atomically(folder / PRM_FILE, f"{text}\n")
