"""The command line: what documents show can be typed, times are understood, and what cannot be meant is refused."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from producer.aws import session
from producer.cli import cli, main
from producer.console import server
from producer.ops.archive_index import Span
from producer.ops.options import span

ROOT = Path(__file__).parents[2]
VIA = ".venv/bin/sensorstream "


class Asked(Exception):
    """The command line was right: AWS is asked for the stack, or the console would be served without one."""


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise Asked

    monkeypatch.setattr(session, "opened", asked)
    monkeypatch.setattr(server, "serve", asked)


def shown() -> Iterator[str]:
    for document in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))):
        if document.name == "tutorial.md":  # whose commands tests/system/test_tutorial.py runs
            continue
        for line in document.read_text().splitlines():
            if line.startswith(VIA):
                yield line.removeprefix(VIA)


@pytest.mark.parametrize("line", list(shown()))
def test_what_the_documents_show_can_be_typed(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "plan":  # asks nobody
        assert main(words) == 0
    else:
        with pytest.raises(Asked):
            main(words)


def test_times_are_iso_with_zone_or_days() -> None:
    words = ["--from", "2026-11-22", "--to", "2026-11-22T12:00:00.5+01:00"]
    chosen = cli.commands["audit"].make_context("audit", words).params
    assert span(chosen["start"], chosen["end"]) == Span(1_795_305_600_000, 1_795_345_200_500)
    assert span(None, None) == Span()
    with pytest.raises(click.UsageError, match="--from must be before --to"):
        span(1, 1)


def test_every_variable_that_is_read_is_looked_after() -> None:
    """A misspelt one is refused, a right one is not."""
    options = {option.envvar for command in cli.commands.values() for option in command.params if option.envvar}
    assert options <= set(session.VARIABLES)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["audit", "--from", "yesterday"], "not a time such as"),
        (["audit", "--from", "2026-11-22T10:00:00"], "has no zone; write 2026-11-22T10:00:00Z"),
        (["audit", "--from", "2026-11-22", "--to", "2026-11-22"], "--from must be before --to"),
        (["audit", "--ledger", "l", "--no-stream"], "--no-stream: not with --ledger"),
        (["replay"], "one of --to-table, --to-rollups and --to-stream"),
        (["replay", "--to-table", "--to-stream", "x"], "one of --to-table, --to-rollups and --to-stream"),
        (["redrive", "--show", "--send"], "--show and --send: one of them"),
        (["redrive", "--rate", "5"], "--rate: only with --send"),
        (["redrive", "--show", "--again"], "--again: only with --send"),
        (["redrive", "--limit", "5"], "--limit: only with --show"),
        (["redrive", "--send", "--by", "key"], "--by: only of counts"),
        (["redrive", "--undelivered", "--rate", "5"], "--rate: only with --send"),
        (["redrive", "--reason", "wet"], "'wet' is not one of "),
        (["redrive", "--reason", "not-jsn"], "Did you mean not-json?"),
        (["provision", "--devices", "many"], "'--devices': 'many' is not a valid whole number"),
        (["simulate", "--aggregate", "10"], "--aggregate goes with --via kinesis only"),
        (["simulate", "--batch", "501"], "'--batch': 501 is not in the range 1<=x<=500"),
        (["simulate", "--for", "soon"], "'--for': soon is not a duration such as 90, 90s, 1.5m or 2h"),
        (["simulate", "--rate", "fast"], "'--rate': 'fast' is not a valid number"),
        (["simulate", "--rate", "inf"], "'--rate': inf is not a number"),
        (["simulate", "--rate", "1", "--interval", "1"], "--rate and --interval: one of them"),
        (["simulate", "--malformed", "5"], "'--malformed': 5.0 is not in the range 0<=x<=1"),
        (["simulate", "--seed", "x"], "'--seed': 'x' is not a valid whole number"),
        (["simulate", "--devcies", "3"], "No such option '--devcies'. Did you mean '--devices'?"),
        (["deprovision", "--dev", "3"], "No such option '--dev'"),
        (["deprovision"], "Missing option '--devices'"),
        (["deprovison"], "Did you mean one of: 'deprovision', 'provision'?"),
        (["provision", "--devices", "1", "--prefix", "a b"], "'a b' cannot begin a device's name"),
        (["simulate", "--prefix", "field/#"], "'field/#' cannot begin a device's name"),
        (["redrive", "--sequence", "last"], "last is not a sequence number"),
        ([], "Missing command"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert reported in error
    assert error.startswith("sensorstream")
    assert error.count("\n") == 1


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", "--help"]) == 0
    assert "READING_CONTRACTS" in capsys.readouterr().out
