"""Confirms with Kinesis that a shard has ended before its end is checkpointed.

The KCL also reports the end of a shard when Kinesis answers ResourceNotFoundException: the stream's registered consumer
was deregistered (FANOUT), or the stream was deleted. A checkpoint of that end is final: no worker would read the shard
again. See docs/decisions/0013-ends-and-hand-overs.md.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any, Final

from consumer.aws.retry import FAILURES, Guard, until_done
from consumer.kcl.first_leases import ListShards
from consumer.kcl.read_errors import reason
from consumer.pipeline.reads import Reads
from consumer.restarts import Reason, RunFailed
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often the shards are listed: a list may be older than the reshard that closed the shard, and a list that is read
page by page while shards expire may miss one."""
ATTEMPT_INTERVAL: Final = 1.0
"""Seconds between two attempts."""


class FalseEnd(RunFailed):
    """The KCL reports the end of a shard that Kinesis does not confirm: it must be read further."""

    reason = Reason.FALSE_END


class Verdict(Enum):
    """The state of a shard, by a list of the stream's shards."""

    CLOSED = "closed"
    EXPIRED = "not listed any more"
    OPEN = "open"
    UNKNOWN = "not listed, nor any later one"


def verdict(shard: str, listed: Sequence[Mapping[str, Any]]) -> Verdict:
    """Decides by all shards that ListShards returns.

    A closed shard has an `EndingSequenceNumber`, and is listed until its last record has expired. By then there are
    later shards, its descendants, since a stream always has open shards and shard numbers only grow. A list without it
    and without any later one is of another stream with the same name.
    """
    for each in listed:
        if each["ShardId"] == shard:
            ended = each.get("SequenceNumberRange", {}).get("EndingSequenceNumber")
            return Verdict.CLOSED if ended else Verdict.OPEN
    return Verdict.EXPIRED if any(each["ShardId"] > shard for each in listed) else Verdict.UNKNOWN


class Ends:
    """Confirms the ends of shards of the stream `stream`."""

    def __init__(
        self, list_shards: ListShards, stream: str, gone: Callable[[str], bool], reads: Reads, metrics: Metrics
    ) -> None:
        """`gone` says whether the KCL got the answer that a shard, or the registered consumer, does not exist."""
        self._list_shards = list_shards
        self._stream = stream
        self._gone = gone
        self._reads = reads
        self._metrics = metrics

    async def confirm(self, shard: str, guard: Guard) -> None:
        """Returns when the shard has ended, and the KCL has read it to its end.

        Raises FalseEnd when it has not, and what `guard` raises, which is called before each request. As long as the
        shards cannot be listed (denied, throttled, unreachable, no such stream) it tries again: only this shard waits,
        and counts as unreadable.
        """
        # A shard that has just been closed may have records that the KCL has not read.
        doubted = self._gone(shard)
        doubts: list[Verdict] = []
        for look in range(ATTEMPTS):
            if look:
                await asyncio.sleep(ATTEMPT_INTERVAL)
            found = verdict(shard, await until_done("stream", partial(self._listed, shard), self._metrics, guard))
            if found is Verdict.CLOSED and not doubted:
                log.info("%s: Kinesis says that it is %s", shard, found.value)
                return
            if found is not Verdict.EXPIRED:
                doubts.append(found)
        if doubts:
            raise FalseEnd(
                f"the KCL reports the end of {shard}, which Kinesis lists as {doubts[-1].value}: nothing is"
                " checkpointed (was the stream's registered consumer deleted?)"
            )
        log.info("%s: Kinesis says that it is %s", shard, Verdict.EXPIRED.value)

    async def _listed(self, shard: str) -> list[Mapping[str, Any]]:
        try:
            return await self._all()
        except FAILURES as error:
            text = f"{type(error).__name__}: {error}"
            self._reads.failed(shard, reason(text), f"its end cannot be confirmed: {text}")
            raise

    async def _all(self) -> list[Mapping[str, Any]]:
        """All shards that have not expired."""
        answer = await self._list_shards(StreamName=self._stream)
        shards = list(answer["Shards"])
        while token := answer.get("NextToken"):
            answer = await self._list_shards(NextToken=token)
            shards += answer["Shards"]
        return shards
