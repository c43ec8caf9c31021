"""Options that several of the operators' commands have."""

from typing import TYPE_CHECKING

from click import Option, Parameter, UsageError

from producer.options import Number, moment, setting

if TYPE_CHECKING:
    from producer.ops.archive_index import Span

RATE = Option(["--rate"], type=Number(0, min_open=True), metavar="R", help="at most R rows or records a second")

SPAN: list[Parameter] = [
    Option(
        ["--from", "start"],
        callback=moment,
        metavar="T",
        help="only what arrived at T or later; ISO-8601 with zone, or a day (UTC)",
    ),
    Option(["--to", "end"], callback=moment, metavar="T", help="only what arrived before T"),
]

CONTRACTS: list[Parameter] = [
    setting(["--reading-contracts"], "READING_CONTRACTS", "C", "must be as the consumer has it"),
    setting(["--payload-decoder"], "PAYLOAD_DECODER", "D", "must be as the consumer has it"),
]
"""How payloads are read: docs/settings.md."""


def span(start: int | None, end: int | None) -> "Span":
    """Raises UsageError when it is empty."""
    from producer.ops.archive_index import Span

    if start is not None and end is not None and start >= end:
        raise UsageError("--from must be before --to")
    return Span(start, end)
