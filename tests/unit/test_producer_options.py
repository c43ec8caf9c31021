"""The command line: what documents show can be typed, and times are understood."""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer import options
from producer.aws.errors import UserError
from producer.cli import COMMANDS
from producer.ops.archive_index import Span

ROOT = Path(__file__).parents[2]


def shown() -> Iterator[str]:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in document.read_text().splitlines():
            if line.startswith(command := ".venv/bin/sensorstream "):
                yield line.removeprefix(command)


@pytest.mark.parametrize("line", list(shown()))
def test_what_the_documents_show_can_be_typed(line: str) -> None:
    options.parser(COMMANDS).parse_args(shlex.split(line, comments=True))


def parsed(*arguments: str) -> argparse.Namespace:
    return options.parser(COMMANDS).parse_args(arguments)


def test_times_are_iso_with_zone_or_days() -> None:
    chosen = parsed("audit", "--from", "2026-11-22", "--to", "2026-11-22T12:00:00.5+01:00")
    assert options.span(chosen) == Span(1_795_305_600_000, 1_795_345_200_500)
    assert options.span(parsed("audit")) == Span()
    with pytest.raises(UserError, match="--from must be before --to"):
        options.span(parsed("audit", "--from", "2026-11-22", "--to", "2026-11-22"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["audit", "--from", "yesterday"], "no time such as"),
        (["audit", "--from", "2026-11-22T10:00:00"], "has no zone; write 2026-11-22T10:00:00Z"),
        (["replay"], "one of the arguments --to-table --to-stream is required"),
        (["replay", "--to-table", "--to-stream", "x"], "not allowed with"),
        (["redrive", "--show", "--send"], "not allowed with"),
        (["redrive", "--reason", "wet"], "wet is none of "),
        (["redrive", "--reason", "not-jsn"], "did you mean not-json?"),
        (["provision", "--devices", "many"], "--devices: many is not a whole number of 1 or more"),
        (["simulate", "--batch", "501"], "--batch: 501 is not a whole number of 1..500"),
        (["simulate", "--for", "soon"], "--for: soon is not a duration such as 90, 90s, 1.5m or 2h"),
        (["simulate", "--rate", "fast"], "--rate: fast is not a number above 0"),
        (["simulate", "--malformed", "5"], "--malformed: 5 is not a share of 0..1"),
        (["simulate", "--seed", "x"], "--seed: x is not a whole number"),
        (["simulate", "--devcies", "3"], "--devcies is not known here; did you mean --devices?"),
        (["deprovision", "--dev", "3"], "required: --devices"),
        (["deprovison"], "did you mean deprovision?"),
        (["provision", "--devices", "1", "--prefix", "a b"], "'a b' cannot begin a device's name"),
        (["simulate", "--prefix", "field/#"], "'field/#' cannot begin a device's name"),
        (["redrive", "--sequence", "last"], "last is no sequence number"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
