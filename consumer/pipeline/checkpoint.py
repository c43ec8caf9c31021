"""The checkpoint: the last step of a commit, sent to the daemon over the shard's conversation; and what follows it."""

import asyncio
import logging
from functools import partial
from typing import Final

from consumer.aws.retry import Guard, delay, until_done
from consumer.kcl.claims import Form
from consumer.kcl.protocol import CheckpointRefused, Conversation
from consumer.pipeline.components import Components
from consumer.pipeline.ownership import Event, OwnershipLost
from consumer.record import Position

log = logging.getLogger(__name__)

TRANSIENT: Final = frozenset({"ThrottlingException", "KinesisClientLibDependencyException", "InvalidStateException"})
"""Errors of the lease table, which may pass with time."""


async def checkpoint(conversation: Conversation, position: Position | None, components: Components) -> None:
    """Checkpoints at `position`, or at the shard's end; retries errors of the lease table.

    Raises OwnershipLost when the lease is lost, CheckpointRefused for other errors, and what `before_checkpoint`
    raises, which is called before each try.
    """
    attempt = 0
    while True:
        await components.skips.before_checkpoint()
        try:
            await conversation.checkpoint(position)
        except CheckpointRefused as refused:
            error = refused.error.rpartition(".")[2]
            components.metrics.checkpoint_errors.labels(error).inc()
            if error == "ShutdownException":
                raise OwnershipLost(Event.CHECKPOINT_REFUSED) from refused
            if error not in TRANSIENT:
                raise
            log.warning("checkpoint refused, trying again: %s", error)
            await asyncio.sleep(delay(attempt))
            attempt += 1
        else:
            components.metrics.checkpoints.inc()
            return


async def next_form(shard: str, epoch: int, last: Form, components: Components, guard: Guard) -> Form:
    """The form of the archive object behind our checkpoint; `last` is that of the object before it.

    The settings take effect here: no other owner has begun that object. Raises OwnershipLost, and what `guard` raises.
    """
    claims = components.claims
    if last != claims.form:
        change = partial(claims.change_form, shard, epoch)
        if not await until_done("leases", change, components.metrics, guard):
            raise OwnershipLost(Event.FENCED)
    return claims.form
