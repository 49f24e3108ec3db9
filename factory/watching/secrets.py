"""Texts without what nobody may read: errors quote commands, addresses and environments."""

import os
import re
from collections.abc import Mapping
from typing import Any

SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.I)
TOKENS = re.compile(r"\b(?:hf_\w{8,}|sk-[\w-]{16,}|AKIA\w{12,}|gh[pousr]_\w{20,})")
IN_ADDRESS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
MIN_LENGTH = 8
"""Shorter values of the environment are words like "true"."""
HIDDEN = "***"


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text without values of variables that are named like secrets, tokens, and passwords."""
    for name, value in environment.items():
        if len(value) >= MIN_LENGTH and SECRET_NAMES.search(name):
            text = text.replace(value, HIDDEN)
    return IN_ADDRESS.sub(HIDDEN, TOKENS.sub(HIDDEN, text))


def without_secrets_in(value: Any) -> Any:
    """The same for every text in nested dicts and lists."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {without_secrets(str(k)): without_secrets_in(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets_in(item) for item in value]
    return value
