"""A push to the Hub in a line for a person."""

from factory.hub.state import PushState


def push_line(state: PushState) -> str:
    """How far it is."""
    trouble = f", {state.last_error}" if state.last_error else ""
    return f"{state.repo_id}: {state.pushed:,} of {state.pushed + state.pending:,} shards{trouble}"


def unfinished_line(state: PushState, folder: str) -> str:
    """Why it ended before all was there, and how to go on."""
    why = state.last_error or "the Hub takes no more for now"
    return (
        f"{why}: {state.pushed:,} of {state.pushed + state.pending:,} shards are in "
        f"{state.repo_id}; prm-factory push {folder} {state.repo_id} goes on"
    )
