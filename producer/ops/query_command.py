"""The command `query`."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click import Argument, Option, Parameter, UsageError

from producer.aws import session
from producer.options import JSON, STACK, Whole, moment, refuse

if TYPE_CHECKING:
    from producer.ops.query import Item

NEWEST = 20  # readings or rollups, where nothing says how many

PARAMETERS: list[Parameter] = [
    Argument(["sensorid"]),
    Option(
        ["--from", "start"],
        callback=moment,
        metavar="T",
        help="only what was measured at T or later; ISO-8601 with zone, or a day (UTC)",
    ),
    Option(["--to", "end"], callback=moment, metavar="T", help="only what was measured before T"),
    Option(["--limit"], type=Whole(1), metavar="N", help=f"show the newest N; else {NEWEST}, or with --from all"),
    Option(["--rollups"], is_flag=True, help="show rollups, a line per window, instead of readings"),
    Option(["--follow"], is_flag=True, help="then show later readings as they come, until Ctrl-C"),
    Option(["--csv", "as_csv"], is_flag=True, help="print CSV; the measures are a JSON object in its last column"),
    JSON,
    STACK,
]


@click.command(params=PARAMETERS)
def query(
    name: str,
    sensorid: str,
    limit: int | None,
    rollups: bool,
    follow: bool,
    as_csv: bool,
    as_json: bool,
    **span: Any,
) -> int:
    """Show a device's readings, or what they come to in each window of time, the newest first.

    With --follow the oldest is first, JSON is an object a line, and what has an earlier time than a reading that was
    shown is left out.
    """
    from producer.aws.query_api import QueryApi
    from producer.exact_json import as_json as exact
    from producer.ops import query as queries

    start, end = span["start"], span["end"]
    if as_csv and as_json:
        raise UsageError("--csv and --json: one of them")
    if start is not None and end is not None and start >= end:
        raise UsageError("--from must be before --to")
    if follow:
        refuse("--follow has no end", "end")
        refuse("--follow shows readings", "rollups")
    stack = session.stack(name)
    api = QueryApi(stack.session, stack.query_url)
    if follow:
        with suppress(KeyboardInterrupt):
            _shown(queries.follow(api, sensorid, start, limit or NEWEST), as_csv, as_json)
        return 0
    read = queries.rollups if rollups else queries.newest
    items = read(api, sensorid, start, end, limit or (NEWEST if start is None else None))
    if as_csv:
        _shown(items, as_csv, as_json, rollups)
        return 0
    found = list(items)
    if as_json:
        click.echo(exact({"Items": found, "Count": len(found)}))
    elif found:
        click.echo(queries.rollup_history(found) if rollups else queries.history(found))
    else:
        click.echo(f"no {'rollups' if rollups else 'readings'} of {sensorid}")
    return 0


def _shown(items: "Iterable[Item]", as_csv: bool, as_json: bool, rollups: bool = False) -> None:
    """Each on a line as soon as it is there."""
    from producer.exact_json import as_json as exact
    from producer.ops import query as queries

    if as_csv:
        click.echo(queries.as_csv(queries.ROLLUP_COLUMNS if rollups else queries.COLUMNS))
    for item in items:
        if as_csv:
            click.echo(queries.as_csv(queries.csv_rollup(item) if rollups else queries.csv_values(item)))
        else:
            click.echo(exact(item) if as_json else queries.as_line(item))


COMMANDS = (query,)
