"""A stream record as the KCL delivers it, and its position in the shard. Pure."""

import msgspec

Position = tuple[int, int]
"""Sequence number and sub-sequence number; ordered as in the shard."""


class Record(msgspec.Struct, rename="camel", gc=False):
    """One (de-aggregated) stream record; `data` is base64 on the wire, arrival is in ms since the epoch."""

    data: bytes
    partition_key: str
    sequence_number: str
    sub_sequence_number: int = 0
    approximate_arrival_timestamp: int | None = None

    @property
    def position(self) -> Position:
        return int(self.sequence_number), self.sub_sequence_number
