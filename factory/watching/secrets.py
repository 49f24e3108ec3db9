"""Texts without what nobody may read: errors quote commands, addresses and environments."""

import os
import re
from collections.abc import Mapping
from typing import Any

SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.I)
TOKENS = re.compile(
    r"\b(?:hf_\w{8,}|sk-[\w-]{16,}|AKIA\w{12,}|gh[pousr]_\w{20,})|(?<=Bearer )[^\s'\"]+"
)
PASSWORD = re.compile(r"(?<=://)[^/\s:@'\"<>]*:[^\s'\"<>]+(?=@)")
"""With its user, up to the last @: passwords have slashes in them that nobody has escaped. A path
with an @ behind a port is taken for one too."""
USER = re.compile(r"(?<=://)[^/\s@'\"<>]+(?=@)")
"""Tokens stand in its place."""
IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:token|secret|passw\w*|credential|signature|key|\bsig)=)[^\s&;#'\"<>]+", re.I
)
MIN_LENGTH = 8
"""Shorter values of the environment are words like "true"."""
HIDDEN = "***"


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text without values of variables that are named like secrets, tokens, and what addresses
    hold of either."""
    for name, value in environment.items():
        if len(value) >= MIN_LENGTH and SECRET_NAMES.search(name):
            text = text.replace(value, HIDDEN)
    for shape in (TOKENS, PASSWORD, USER):
        text = shape.sub(HIDDEN, text)
    return IN_QUERY.sub(rf"\1{HIDDEN}", text)


def without_secrets_in(value: Any) -> Any:
    """The same for every text in nested dicts and lists."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {without_secrets(str(k)): without_secrets_in(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets_in(item) for item in value]
    return value
