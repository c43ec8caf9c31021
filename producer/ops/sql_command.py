"""The command `sql`."""

import csv
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from click import Argument, Option, Parameter, UsageError

from producer.aws import session
from producer.options import JSON, STACK, Whole, moment

if TYPE_CHECKING:
    from producer.ops.sql import Answer

SHOWN = 1000  # rows that a table for people has at most

PARAMETERS: list[Parameter] = [
    Argument(["statement"], metavar="QUERY"),
    Option(
        ["--from", "start"],
        callback=moment,
        metavar="T",
        help="look only at objects of T's hour or later; ISO-8601 with zone, or a day (UTC)",
    ),
    Option(["--to", "end"], callback=moment, metavar="T", help="look only at objects of hours that begin before T"),
    Option(["--max-mb"], type=Whole(1), default=1000, metavar="N", help="do not read more than N MB of the bucket"),
    Option(["--csv", "as_csv"], is_flag=True, help="print CSV"),
    JSON,
    STACK,
]


@click.command(params=PARAMETERS)
def sql(name: str, statement: str, max_mb: int, as_csv: bool, as_json: bool, **span: int | None) -> int:
    """Ask the archive in SQL: tables raw and curated, as in Athena.

    A condition on date ('2026-11-25') and hour (13) limits what is read. Nothing is written.
    """
    from producer.ops.archive_index import Span
    from producer.ops.sql import Archive

    start, end = span["start"], span["end"]
    if as_csv and as_json:
        raise UsageError("--csv and --json: one of them")
    if start is not None and end is not None and start >= end:
        raise UsageError("--from must be before --to")
    with Archive(session.stack(name), Span(start, end), max_mb * 1_000_000) as archive:
        answer = archive.ask(statement)
        if as_csv:
            _print_csv(answer)
        elif as_json:
            _print_json(answer)
        else:
            _print_table(answer)
            click.echo(archive.read, err=True)
    return 0


def _print_csv(answer: "Answer") -> None:
    from producer.ops.sql import plain

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(map(plain, answer.rows))


def _print_json(answer: "Answer") -> None:
    from producer.exact_json import as_json
    from producer.ops.sql import plain

    found: list[dict[str, Any]] = [dict(zip(answer.columns, plain(row), strict=True)) for row in answer.rows]
    click.echo(as_json({"rows": found, "count": len(found)}))


def _print_table(answer: "Answer") -> None:
    from producer.ops.sql import plain
    from producer.terminal import table

    rows = list(islice(answer.rows, SHOWN + 1))
    shown = [["" if each is None else str(each) for each in plain(row)] for row in rows[:SHOWN]]
    click.echo(table(answer.columns, shown, answer.numbers))
    if len(rows) > SHOWN:
        click.echo(f"... more than {SHOWN} rows: --csv and --json give all")


COMMANDS = (sql,)
