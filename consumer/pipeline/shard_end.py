"""Whether a shard has really ended: Kinesis is asked before its end is checkpointed.

The KCL reports the end of a shard also where Kinesis answered ResourceNotFoundException: when the stream's registered
consumer was deregistered (FANOUT), or the stream is gone. A checkpoint of that end is for ever: no worker would read
the shard again. docs/decisions/0013-ends-and-hand-overs.md tells more.
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

LOOKS: Final = 3
"""Times that a shard is looked for: a list may be older than the reshard that closed it, and one that is read page by
page while shards expire may leave one out."""
BETWEEN: Final = 1.0
"""Seconds between them."""


class FalseEnd(RunFailed):
    """The KCL reports the end of a shard that, as far as Kinesis tells, has records: it must be read on."""

    reason = Reason.FALSE_END


class Verdict(Enum):
    """What a list of the stream's shards says of one of them."""

    CLOSED = "closed"
    EXPIRED = "not listed any more"
    OPEN = "open"
    UNKNOWN = "not listed, nor any later one"


def verdict(shard: str, listed: Sequence[Mapping[str, Any]]) -> Verdict:
    """Decides by all shards that ListShards shows.

    A closed shard has an `EndingSequenceNumber`, and is listed until its last record has expired; then later shards are
    there, its descendants, since some shards of a stream are always open and the numbers of shards only grow. A list
    without it and without any later one is of another stream, of the same name.
    """
    for each in listed:
        if each["ShardId"] == shard:
            ended = each.get("SequenceNumberRange", {}).get("EndingSequenceNumber")
            return Verdict.CLOSED if ended else Verdict.OPEN
    return Verdict.EXPIRED if any(each["ShardId"] > shard for each in listed) else Verdict.UNKNOWN


class Ends:
    """Asks about shards of the stream `stream`."""

    def __init__(
        self, list_shards: ListShards, stream: str, gone: Callable[[str], bool], reads: Reads, metrics: Metrics
    ) -> None:
        """`gone` says of a shard whether the KCL was told that it, or the registered consumer, does not exist."""
        self._list_shards = list_shards
        self._stream = stream
        self._gone = gone
        self._reads = reads
        self._metrics = metrics

    async def confirm(self, shard: str, guard: Guard) -> None:
        """Returns when the shard has ended, and the KCL has come to its end.

        Raises FalseEnd when it has not, and what `guard` raises, which is asked before each request. As long as Kinesis
        cannot tell (denied, throttled, out of reach, the stream gone) it asks again: the shard waits, and only it, and
        counts as one that cannot be read.
        """
        # A shard that was closed just now may have records that the KCL, which met no end, has not read.
        doubted = self._gone(shard)
        doubts: list[Verdict] = []
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(BETWEEN)
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
