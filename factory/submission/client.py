"""The Jobs interface of a Ray cluster, with its errors as one line for a person."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from factory.errors import InputError, shortened

DEFAULT_ADDRESS = "http://127.0.0.1:8265"


class Client(Protocol):
    """What is used of `ray.job_submission.JobSubmissionClient`."""

    def submit_job(
        self,
        *,
        entrypoint: str,
        submission_id: str,
        runtime_env: dict[str, Any],
        metadata: dict[str, str],
    ) -> str:
        """The id again. Raises RuntimeError where there is a job of this id."""

    def list_jobs(self) -> list[Any]:
        """All jobs the cluster remembers."""

    def get_job_info(self, job_id: str) -> Any:
        """Raises RuntimeError with 404 in it for an unknown one."""

    def get_job_logs(self, job_id: str) -> str:
        """Everything the driver has printed so far."""

    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """What it prints, until it ends."""

    def stop_job(self, job_id: str) -> bool:
        """Whether there was something to stop."""


def connect(address: str | None) -> Client:
    """A client of the cluster whose dashboard answers at this address.

    Without an address RAY_DASHBOARD_ADDRESS, then this machine's own. A cluster that asks for a
    token gets RAY_AUTH_TOKEN or the token file, where RAY_AUTH_MODE is `token`. Raises InputError
    when nothing answers.
    """
    address = address or os.environ.get("RAY_DASHBOARD_ADDRESS") or DEFAULT_ADDRESS
    if not address.startswith(("http://", "https://")):
        raise InputError(
            f"--address {address}: give the dashboard's address, like {DEFAULT_ADDRESS}"
        )
    from ray.job_submission import JobSubmissionClient

    with answering(address):
        client: Client = JobSubmissionClient(address)
    return client


@contextmanager
def answering(address: str | None = None) -> Iterator[None]:
    """Turns what the client raises into InputError; with the address where it is first tried."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        raise InputError(
            f"{address or 'the cluster'} asks for a token: "
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    except _stream_errors() as error:
        raise InputError(
            f"the log cannot be followed ({shortened(error, 200)}): where a proxy lets no "
            "WebSockets through, 'prm-factory logs ID' without --follow prints it so far"
        ) from error
    except (ConnectionError, requests.exceptions.RequestException) as error:
        if address is None:
            raise InputError(
                f"the cluster's dashboard went away ({shortened(error, 100)}): run the same "
                "command again, what is running is not started twice"
            ) from error
        raise InputError(
            f"no Ray dashboard answers at {address}: give --address http://HEAD:8265, or forward "
            "the port"
        ) from error
    except RuntimeError as error:
        if "ray[default]" in str(error):
            raise InputError(
                "the client of clusters is not installed on this machine: "
                'pip install "prm-factory[cluster]"'
            ) from error
        raise InputError(f"{address or 'the cluster'} refused: {shortened(error, 400)}") from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        what = shortened(f"{type(error).__name__}: {error}", 100)
        raise InputError(
            f"what answers at {address or 'the address'} is no Ray dashboard ({what}): give "
            "--address http://HEAD:8265"
        ) from error


def _stream_errors() -> tuple[type[Exception], ...]:
    """What following a log raises; the client says itself that it needs aiohttp."""
    try:
        import aiohttp
    except ImportError:
        return ()
    return (aiohttp.ClientError,)
