"""Reading contracts at the desk: whether a file of them is valid, and what they make of payloads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from consumer import own_decoder
from consumer.payload.contract import ContractError, parse
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode, documents
from consumer.payload.reading import Decoded, Found
from consumer.payload.times import timestamp
from consumer.payload.values import MISSING, Bad
from producer.aws.errors import UserError
from producer.exact_json import as_json

SHOWN = 60
"""Characters of a value that a person sees."""
_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\r\n]*")


def load(path: Path) -> Contracts:
    """Raises UserError that names the line."""
    text = content(path)
    try:
        return Contracts(parse(text))
    except ContractError as error:
        raise UserError(f"{path}:{line(text.decode(errors='replace'), error)}: {error}") from None


def chosen(path: Path | None, decoder: str | None) -> Contracts:
    """The contracts of a file or the built-in ones, with a decoder of the operator's own. Raises UserError."""
    entries = load(path).entries if path else Contracts().entries
    try:
        return Contracts(entries, own_decoder.load(decoder) if decoder else None)
    except ValueError as error:
        raise UserError(f"PAYLOAD_DECODER: {error}") from None


def content(path: Path) -> bytes:
    """Raises UserError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def line(text: str, error: ContractError) -> int:
    """The line of a file where the error is, from 1 on."""
    place = len(text.encode()[: error.offset].decode(errors="replace")) if error.offset is not None else None
    if place is None:
        unknown = re.search(r"unknown field `(.+)`", error.what)
        place = _place(text, (*error.where, *(unknown.groups() if unknown else ())))
    return text.count("\n", 0, place) + 1


def _place(text: str, where: tuple[str | int, ...]) -> int:
    """Where in a JSON text the value is to which keys and indexes lead; as far as they can be followed."""
    place = _blank(text, 0)
    for step in where:
        members = dict(_members(text, place))
        if step not in members:
            break
        place = members[step]
    return place


def _members(text: str, place: int) -> Iterator[tuple[str | int, int]]:
    """Key or index of each member of the array or object at a place, and where its value begins."""
    kind, before = text[place : place + 1], text[place : place + 1]
    for index in count():
        if before not in ("[", "{", ","):
            return
        place = _blank(text, place + 1)
        key: str | int = index
        if kind == "{":
            key, place = _DECODER.raw_decode(text, place)
            place = _blank(text, _blank(text, place) + 1)
        yield key, place
        place = _blank(text, _DECODER.raw_decode(text, place)[1])
        before = text[place : place + 1]


def _blank(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


@dataclass(frozen=True, slots=True)
class Tried:
    """What contracts make of one payload: rows, rejects, and what stands at each path of each message."""

    payload: str
    decoded: Decoded
    paths: list[dict[str, Any]]

    @property
    def ok(self) -> bool:
        return not self.decoded.rejected

    def rows(self) -> list[dict[str, Any]]:
        """As the table has them, but for ExpiresAt."""
        return [
            {"SensorId": each.device, "Timestamp": timestamp(each.time_ms)}
            | ({} if each.value is None else {"Value": each.value})
            | ({"Measures": each.measures} if each.measures else {})
            | ({"TimeSource": "arrival"} if each.arrived else {})
            for each in self.decoded.readings
        ]

    def as_json(self) -> str:
        """On one line, numbers with all their digits."""
        rejects = [{"index": r.index, "reason": r.reason, "detail": r.detail} for r in self.decoded.rejects]
        told = {"payload": self.payload, "rows": self.rows(), "rejected": self.decoded.rejected, "rejects": rejects}
        return as_json(told | {"paths": self.paths})

    def as_text(self) -> str:
        lines = [f"{self.payload}: {len(self.decoded.readings)} readings, {self.decoded.rejected} rejected"]
        for row in self.rows():
            fields = (_shown(name, value) for name, value in row.items())
            lines.append("  row       " + "  ".join(fields))
        lines += [f"  rejected  [{each.index}] {each.reason}: {each.detail}" for each in self.decoded.rejects]
        for each in self.paths:
            found = each["found"] if each["there"] else "nothing"
            lines.append(f"  path      {each['contract']}: {each['path']}: {found}")
        return "\n".join(lines)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}.{key}={each}" for key, each in value.items())
    return f"{name}={value}"


def tried(name: str, data: bytes, contracts: Contracts, key: str, arrival: int) -> Tried:
    """Reads one payload as if it had come into the stream under a partition key, at a time in ms since the epoch."""
    found = Found(key, arrival)
    paths: list[dict[str, Any]] = []
    for value in documents(data, contracts, found):
        for message in value if type(value) is list else [value]:
            for contract, path, at in contracts.looked_up(message, found):
                told = {"contract": contract, "path": path, "there": at is not MISSING}
                paths.append(told | {"found": None if at is MISSING else _text(at)})
    return Tried(name, decode(data, contracts, key, arrival), paths)


def _text(value: object) -> str:
    if isinstance(value, Bad):
        return f"{value.reason}: {value.detail}"
    if isinstance(value, Decimal):
        return str(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
