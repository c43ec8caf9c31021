"""What each path of the query API answers.

A request reads a bounded part of the tables: one request to DynamoDB for readings, one for each device asked for its
latest, more for those without readings, MAX_REQUESTS for rollups and for a series, one for each partition for devices.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final, NamedTuple

from . import page
from .parameters import (
    FIRST,
    LAST,
    BadRequest,
    Parser,
    device,
    duration,
    measure,
    moment,
    once,
    one_of,
    timestamp,
    whole,
)
from .series import Grid, Part, buckets
from .store import BUCKETS, Row, Span, Store
from .windows import merged, window

READINGS, ROLLUPS, DEVICES, LATEST = 1000, 1000, 1000, 50  # at most, in an answer
SERIES_BUCKETS = 1000
MAX_ROWS, MAX_REQUESTS = 5000, 8  # that a request for rollups or a series reads at most
AT_ONCE = 10  # devices whose newest reading is looked for, as many as the client has connections
SPARE = 10  # rows of a window more than one, such as those of several shards

Asked = dict[str, list[Any]]
Answer = dict[str, Any]


class Route(NamedTuple):
    """What answers a path, and its parameters."""

    answer: Callable[[Store, Asked], Answer]
    parameters: dict[str, Parser]
    required: tuple[str, ...] = ()


def _readings(store: Store, asked: Asked) -> Answer:
    given = once(asked)
    name, forward = given["device"], given.get("order") == "asc"
    low, high = _range(given)
    request = ["readings", name, low, high, forward]
    if "page" in given:
        at = _moment_of(request, given["page"], low, high)
        low, high = (at + 1, high) if forward else (low, at - 1)
    rows, more = store.rows(Span(name, low, high), forward, given.get("limit", 100))
    answer: Answer = {"device": name, "readings": [_reading(row) for row in rows]}
    if more and rows:
        answer["next"] = page.token(request, [moment(rows[-1]["Timestamp"])])
    return answer


def _rollups(store: Store, asked: Asked) -> Answer:
    """The rows of a window, one for each shard that has readings of it, are one rollup here."""
    given = once(asked)
    name, forward, limit = given["device"], given.get("order") == "asc", given.get("limit", 100)
    low, high = _range(given)
    request = ["rollups", name, low, high, forward]
    after = _window_of(request, given["page"]) if "page" in given else None
    for most in (limit + SPARE, MAX_ROWS):
        rows, more = store.rollups(Span(name, low, high), most, MAX_REQUESTS, forward, after)
        if more:  # the last window may go on behind what was read
            rows = [row for row in rows if window(row) != window(rows[-1])]
        if rows or not more:
            break
    found = merged(rows)
    answer: Answer = {"device": name, "rollups": [rollup for _, rollup in found[:limit]]}
    if found and (more or len(found) > limit):
        answer["next"] = page.token(request, [found[:limit][-1][0]])
    return answer


def _series(store: Store, asked: Asked) -> Answer:
    given = once(asked)
    if ("every" in given) == ("buckets" in given):
        raise BadRequest("every", "or buckets must be given, and not both")
    name, which = given["device"], given.get("measure")
    low, high = _range(given)
    grid = Grid.of(low, high + 1, given.get("every"), given.get("buckets", 1))
    rollups = given.get("source") == "rollups"
    if rollups and "every" not in given:
        raise BadRequest("every", "must be given for rollups: windows cannot be divided")
    request = ["series", name, which, *grid, rollups]
    start = low
    if "page" in given:
        start = _moment_of(request, given["page"], low, high)
    read = store.rollups if rollups else store.series
    rows, more = read(Span(name, start, high), MAX_ROWS, MAX_REQUESTS)
    answer: Answer = {"device": name, "everySeconds": Decimal(grid.every) / 1000}
    if more:  # the last bucket may go on behind what was read
        cut = grid.start(_time(rows[-1]))
        rows = [row for row in rows if _time(row) < cut]
        if cut <= start:
            field = "every" if "every" in given else "buckets"
            raise BadRequest(
                field, f"makes a bucket from {timestamp(cut)} with more readings than a request reads; make it shorter"
            )
        answer["next"] = page.token(request, [cut])
    parts = [(_time(row), _part(row, value, grid.every)) for row in rows if (value := _value(row, which)) is not None]
    answer["buckets"] = [{"time": timestamp(at)} | bucket for at, bucket in buckets(grid, parts)]
    return answer


def _time(row: Row) -> int:
    """Of a reading, or the begin of a rollup's window."""
    return moment(row["Timestamp"] if "Timestamp" in row else row["Window"].partition("/")[0])


def _part(row: Row, value: Any, every: int) -> Part:
    """What a row adds to a bucket of `every` milliseconds. Raises BadRequest where its window might be in two."""
    if "Window" not in row:
        return Part.reading(value)
    seconds = row["Window"].split("/")[1]
    if every % (int(seconds) * 1000):
        raise BadRequest("every", f"must be a multiple of {seconds}s, which rollups of {timestamp(_time(row))} have")
    return Part(int(value["Count"]), value["Min"], value["Max"], Decimal(value["Sum"]))


def _latest(store: Store, asked: Asked) -> Answer:
    if len(asked["device"]) > LATEST:
        raise BadRequest("device", f"is given {len(asked['device'])} times; {LATEST} are answered at once")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda name: _newest(store, name), dict.fromkeys(asked["device"]))
        return {"latest": [each for each in found if each]}


def _newest(store: Store, name: str) -> Answer:
    """The newest reading; of a device without rows of readings what its newest rollup has of the last; or nothing."""
    rows, _ = store.rows(Span(name, FIRST, LAST), False, 1)
    if rows:
        return {"device": name} | _reading(rows[0])
    rollups = _rollups(store, {"device": [name], "limit": [1]})["rollups"]
    if not rollups:
        return {}
    [rollup] = rollups
    found = {"device": name, "time": rollup["last"]}
    if "value" in rollup:
        found["value"] = rollup["value"]["last"]
    if "measures" in rollup:
        found["measures"] = {each: number["last"] for each, number in rollup["measures"].items()}
    return found


def _devices(store: Store, asked: Asked) -> Answer:
    given = once(asked)
    limit, bucket, after = given.get("limit", 100), 0, None
    if "page" in given:
        bucket, after = _place_of(given["page"])
    found: list[Row] = []
    while bucket < BUCKETS and len(found) < limit:
        rows, more = store.devices(bucket, after, limit - len(found))
        found += rows
        bucket, after = (bucket, rows[-1]["SensorId"]) if more else (bucket + 1, None)
    answer: Answer = {"devices": [{"device": row["SensorId"], "seen": row["Seen"]} | _reading(row) for row in found]}
    if bucket < BUCKETS:
        answer["next"] = page.token(["devices"], [bucket, after])
    return answer


def _range(given: dict[str, Any]) -> tuple[int, int]:
    """First and last millisecond, both included. Raises BadRequest when there is none."""
    low, high = given.get("from", FIRST), given.get("to", LAST + 1) - 1
    if low > high:
        raise BadRequest("to", "must be after from")
    return low, high


def _moment_of(request: list[Any], token: str, low: int, high: int) -> int:
    match _position(request, token):
        case [int(at)] if low <= at <= high:
            return at
    raise BadRequest("page", "is outside of the range")


def _window_of(request: list[Any], token: str) -> str:
    match _position(request, token):
        case [str() as found]:
            return found
    raise BadRequest("page", "is outside of the range")


def _place_of(token: str) -> tuple[int, str | None]:
    match _position(["devices"], token):
        case [int(bucket), None | str() as after] if 0 <= bucket < BUCKETS and after != "":
            return bucket, after
    raise BadRequest("page", "is outside of the list")


def _position(request: list[Any], token: str) -> list[Any]:
    try:
        return page.position(request, token)
    except ValueError as error:
        raise BadRequest("page", str(error)) from None


def _reading(row: Row) -> Answer:
    """A row without its device's name."""
    names = {"Timestamp": "time", "Value": "value", "Measures": "measures", "TimeSource": "timeSource"}
    return {ours: row[theirs] for theirs, ours in names.items() if theirs in row}


def _value(row: Row, which: str | None) -> Any:
    return row.get("Value") if which is None else row.get("Measures", {}).get(which)


ROUTES: Final = {
    "/readings": Route(
        _readings,
        {
            "device": device,
            "from": moment,
            "to": moment,
            "order": one_of("desc", "asc"),
            "limit": whole(READINGS),
            "page": str,
        },
        ("device",),
    ),
    "/rollups": Route(
        _rollups,
        {
            "device": device,
            "from": moment,
            "to": moment,
            "order": one_of("desc", "asc"),
            "limit": whole(ROLLUPS),
            "page": str,
        },
        ("device",),
    ),
    "/series": Route(
        _series,
        {
            "device": device,
            "from": moment,
            "to": moment,
            "every": duration,
            "buckets": whole(SERIES_BUCKETS),
            "measure": measure,
            "source": one_of("readings", "rollups"),
            "page": str,
        },
        ("device", "from", "to"),
    ),
    "/latest": Route(_latest, {"device": device}, ("device",)),
    "/devices": Route(_devices, {"limit": whole(DEVICES), "page": str}),
}
