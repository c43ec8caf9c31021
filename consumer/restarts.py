"""Errors that end a run of the daemon, after which it is restarted from the checkpoint, and their metric labels."""

from enum import StrEnum
from typing import ClassVar

from botocore.exceptions import ClientError


class Reason(StrEnum):
    """Label of `daemon_restarts`."""

    EXIT = "exit"
    BATCH_SKIPPED = "BatchSkipped"
    CHECKPOINT_REFUSED = "CheckpointRefused"
    CLIENT_ERROR = "ClientError"
    CONVERSATION_ENDED = "ConversationEnded"
    FALSE_END = "FalseEnd"
    FOREIGN_OBJECT = "ForeignObject"
    FOREIGN_ROW = "ForeignRow"
    PROTOCOL_ERROR = "ProtocolError"
    TIMEOUT = "TimeoutError"


class RunFailed(Exception):
    """Ends this run of the daemon."""

    reason: ClassVar[Reason]


def reason(error: Exception) -> str:
    """The metric label for the error that ended a run; the class name of an unexpected error."""
    if isinstance(error, RunFailed):
        return error.reason
    return Reason.CLIENT_ERROR if isinstance(error, ClientError) else type(error).__name__
