"""Streaming a folder of sealed shards to a dataset repo on the Hugging Face Hub."""

from factory.hub.background import BackgroundPush
from factory.hub.push import check_access, push
from factory.hub.rhythm import Rhythm
from factory.hub.source import is_complete
from factory.hub.state import PushState

__all__ = ["BackgroundPush", "PushState", "Rhythm", "check_access", "is_complete", "push"]
