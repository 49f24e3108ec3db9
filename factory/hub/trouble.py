"""What a failed try means: wait and look again, or stop and tell a person. No token comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # lazy

from factory.errors import InputError, shortened
from factory.watching.secrets import HIDDEN, without_secrets

ANSWERABLE = (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError)
"""What the client raises for a Hub or a network in trouble: RuntimeError wraps failed uploads,
ValueError is an answer that cannot be read."""
RETRIED = {408, 409, 412, 425, 429}
"""Statuses that pass, besides 5xx. 412: somebody committed since; 409: somebody is committing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Texts and numbers only: the exceptions of HTTP clients carry the request and its token."""

    message: str
    is_final: bool = False
    """Trying again would not help; the message says what a person can do."""
    retry_after_s: float | None = None


class NotYet(RuntimeError):
    """The Hub is in a state that should pass by itself; look again."""


def redacted(text: str, token: str | None) -> str:
    """The text without the token, and without anything else that looks like a secret."""
    return without_secrets(text.replace(token, HIDDEN) if token else text)


def trouble_of(error: Exception, repo_id: str, token: str | None) -> Trouble:
    """What an answerable error means for the push."""
    if isinstance(error, InputError):
        return Trouble(message=redacted(str(error), token), is_final=True)
    if isinstance(error, OfflineModeIsEnabled):
        return Trouble(message="HF_HUB_OFFLINE is set: unset it to push", is_final=True)
    answer = _http_error(error)
    if answer is None:
        text = f"{type(error).__name__}: {error}"
        return Trouble(message=shortened(redacted(text, token)))
    status = answer.response.status_code
    said = shortened(redacted(answer.server_message or str(answer), token))
    passes = isinstance(answer, RepositoryNotFoundError | RevisionNotFoundError) and status == 404
    if passes or status in RETRIED or status >= 500:
        retry_after_s = _retry_after_s(answer.response.headers)
        return Trouble(message=f"HTTP {status}: {said}", retry_after_s=retry_after_s)
    return Trouble(message=f"{_advice(status, repo_id)} (HTTP {status}: {said})", is_final=True)


def _advice(status: int, repo_id: str) -> str:
    if status == 401:
        return (
            "the Hub does not accept the token: run `hf auth login`, or set HF_TOKEN to a token "
            f"that may write to {repo_id}"
        )
    if status in (402, 403):
        return f"this token may not create or write {repo_id}: use one with write access to it"
    return f"the Hub refuses the push to {repo_id}"


def _http_error(error: BaseException | None) -> HfHubHTTPError | None:
    """The Hub's answer behind an error, through the errors that wrap it."""
    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the Hub asks for in `RateLimit` or `Retry-After`: seconds, or a date."""
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # absent or unreadable, or a date without a zone
        return None
