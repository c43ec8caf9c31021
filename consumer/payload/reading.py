"""Pure: the bytes that a device sent -> its readings, and a reject with a reason for each invalid one.

A record is first parsed as a whole: one JSON object, or an array of them. Only if that fails it is parsed as
documents separated by newlines, where an invalid one does not affect the others. `decode` never raises, and its result
depends on nothing but the bytes (a replay must give the same archive object, invariant 2).

Readings come in two built-in contracts, or with fields named by a setting (`Fields`):
- `{"name": str, "humidity": number, "timeStampEpoch": int ms}`; a `timeStampIso`, if any, is a string
  and not used: it has no zone;
- `{"sensorid": str, "value": number, "timestamp": ISO-8601 with zone}`.
A number is a JSON number or a string holding one. Unknown fields are ignored, and a null optional field counts as
absent; of equal keys in an object the last counts. Nothing is rounded: 20.1 stays 20.1.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Final

import msgspec

from consumer.payload.values import MISSING, Bad, device, epoch, exact, iso, kind, number

REASONS: Final = (
    "not-utf8",
    "not-json",
    "empty",
    "not-an-object",
    "missing-field",
    "wrong-type",
    "not-finite",
    "number-out-of-range",
    "bad-time",
    "time-out-of-range",
    "too-long",
    "bad-aggregate",  # a whole KPL aggregate that the KCL could not open; never from `decode`
)
MAX_REJECTS: Final = 100  # listed per record; further ones are only counted
MAX_DEPTH: Final = 64  # our own limit: Python's recursion limit depends on the caller's stack

_GENERATION_2 = frozenset(("name", "humidity", "timeStampEpoch"))
_BLANK = b" \t\r\n"
_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
# A string, also one that never ends: otherwise each quote in it would start another search to the end.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class Fields:
    """Paths of the fields in nested objects.

    Without device, value and time the two built-in contracts apply. `measures` are further numeric fields to keep; the
    key of each is its dotted path.
    """

    device: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    measures: tuple[tuple[str, ...], ...] = ()


DEFAULT: Final = Fields()


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One measurement; `time_ms` counts from the epoch, `measures` is None rather than empty."""

    device: str
    time_ms: int
    value: Decimal
    measures: dict[str, Decimal] | None


class Reject(msgspec.Struct, frozen=True, gc=False):
    """Why the reading at `index` of its record is invalid: one of REASONS, and a line for people."""

    index: int
    reason: str
    detail: str


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one record held.

    `rejects` are the first MAX_REJECTS of `rejected`; `reasons` counts all of them.
    `payload` is one line of JSON for the archive; if `verbatim` it is exactly the record's bytes. Otherwise it
    is the JSON with its line breaks turned into spaces, or for newline-separated documents an array of them
    with null for what is not JSON, or null if nothing is.
    """

    readings: list[Reading]
    rejects: list[Reject]
    rejected: int
    reasons: Mapping[str, int]
    payload: bytes
    verbatim: bool


def decode(data: bytes, fields: Fields = DEFAULT) -> Decoded:
    """Reads one record; never raises, whatever the bytes are."""
    try:
        document = _parse(data)
    except Bad as bad:
        return _decode_lines(data, fields, bad)
    if b"\n" in data or b"\r" in data:
        # JSON allows no raw line break inside a string, so all of them are blanks between tokens.
        payload, verbatim = data.translate(_BREAKS_TO_SPACES), False
    else:
        payload, verbatim = data, True
    if type(document) is not list:
        return _collect((document,), fields, payload, verbatim)
    return _collect(document or (Bad("empty", "an array without readings"),), fields, payload, verbatim)


def _decode_lines(data: bytes, fields: Fields, whole: Bad) -> Decoded:
    """Reads newline-separated documents; if none of them is an object, the record is rejected for the error `whole`."""
    lines = [line for line in (line.strip(_BLANK) for line in data.split(b"\n")) if line]
    documents: list[object] = []
    for line in lines if len(lines) > 1 else ():
        try:
            documents.append(_parse(line))
        except Bad as bad:
            documents.append(bad)
    if not any(type(document) is dict for document in documents):
        return _collect((whole,), fields, b"null", verbatim=False)
    texts = [b"null" if type(doc) is Bad else line for line, doc in zip(lines, documents, strict=True)]
    payload = b"[" + b",".join(texts).translate(_BREAKS_TO_SPACES) + b"]"
    return _collect(documents, fields, payload, verbatim=False)


def _collect(items: Iterable[object], fields: Fields, payload: bytes, verbatim: bool) -> Decoded:
    readings: list[Reading] = []
    rejects: list[Reject] = []
    reasons: dict[str, int] = {}
    for index, item in enumerate(items):
        try:
            readings.append(_reading(item, fields))
        except Bad as bad:
            reasons[bad.reason] = reasons.get(bad.reason, 0) + 1
            if len(rejects) < MAX_REJECTS:
                rejects.append(Reject(index, bad.reason, bad.detail))
    return Decoded(readings, rejects, sum(reasons.values()), reasons, payload, verbatim)


_decode_json = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_json_with_care = msgspec.json.Decoder(float_hook=exact).decode


def _parse(text: bytes) -> object:
    """JSON -> objects, numbers exact (int or Decimal); raises Bad."""
    # Few brackets cannot nest deeply, so most payloads need no exact count.
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise Bad("not-json", f"nested deeper than {MAX_DEPTH} levels")
    try:
        try:
            return _decode_json(text)
        except InvalidOperation:
            return _decode_json_with_care(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(text, error) from None


def _depth(text: bytes) -> int:
    """The depth of nested brackets outside strings; exact for JSON, and for other text up to the first error."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def _unreadable(text: bytes, error: Exception) -> Bad:
    if not text.strip(_BLANK):
        return Bad("empty", "no payload")
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return Bad("not-utf8", f"byte {wrong.start}: {wrong.reason}")
    if isinstance(error, msgspec.ValidationError):
        # The only validation error of a decoder without a type: an integer of thousands of digits, which Python's json
        # refuses, too.
        return Bad("number-out-of-range", "an integer of thousands of digits")
    return Bad("not-json", str(error))


def _reading(item: object, fields: Fields) -> Reading:
    """One reading of a parsed record; raises Bad. `item` may be the Bad that parsing it gave."""
    if type(item) is not dict:
        raise (item if type(item) is Bad else Bad("not-an-object", f"a reading is an object, not {kind(item)}"))
    if fields.device:
        name = device(_find(item, fields.device), ".".join(fields.device))
        measured = number(_find(item, fields.value), ".".join(fields.value))
        time = _find(item, fields.time)
        at = ".".join(fields.time)
        time_ms = iso(time, at) if type(time) is str else epoch(time, at)
    elif "sensorid" in item and not item.keys() >= _GENERATION_2:
        name = device(item["sensorid"], "sensorid")
        measured = number(item.get("value", MISSING), "value")
        time_ms = iso(item.get("timestamp", MISSING), "timestamp")
    else:
        name = device(item.get("name", MISSING), "name")
        measured = number(item.get("humidity", MISSING), "humidity")
        time_ms = epoch(item.get("timeStampEpoch", MISSING), "timeStampEpoch")
        unused = item.get("timeStampIso")
        if unused is not None and type(unused) is not str:
            raise Bad("wrong-type", f"timeStampIso is {kind(unused)}, not a string")
    return Reading(name, time_ms, measured, _measures(item, fields.measures) if fields.measures else None)


def _measures(item: object, paths: tuple[tuple[str, ...], ...]) -> dict[str, Decimal] | None:
    measures: dict[str, Decimal] = {}
    for path in paths:
        given = _find(item, path)
        if given is not MISSING and given is not None:
            name = ".".join(path)
            measures[name] = number(given, name)
    return measures or None


def _find(item: object, path: tuple[str, ...]) -> object:
    for key in path:
        if type(item) is not dict:
            return MISSING
        item = item.get(key, MISSING)
    return item
