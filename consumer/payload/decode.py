"""Pure: decodes a record to its readings, and a reject with a reason for each invalid one.

The usual message takes a shortcut (shortcut.py). Any other record is first parsed as a whole: one JSON value, which is
a message or an array of messages. Only if that fails it is parsed as other encodings, as several values, or as values
with invalid parts. `decode` never raises, and its result depends on nothing but its arguments (a replay must give the
same archive object, invariant 2). Nothing is rounded: 20.1 stays 20.1.
"""

from typing import Any, Final

from consumer.payload import encodings, json_text
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.reading import Decoded, Found
from consumer.payload.values import Bad

_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_NO_JSON: Final = b"null"


def decode(data: bytes, contracts: Contracts = DEFAULT, partition_key: str = "", arrival: int | None = None) -> Decoded:
    """Decodes one record, which arrived at `arrival` (ms since the epoch). Never raises."""
    if contracts.shortcut is not None and (decoded := contracts.shortcut(data, arrival)) is not None:
        return decoded
    return decode_with(own_message(data, contracts, partition_key), data, contracts, partition_key, arrival)


def decode_with(message: Any, data: bytes, contracts: Contracts, partition_key: str, arrival: int | None) -> Decoded:
    """Decodes one record of which the operator's own decoder has made `message`; None if it has left it to us."""
    found = Found(partition_key, arrival)
    if message is not None:
        return _by_own(message, data, contracts, found)
    try:
        document = json_text.strict(data)
    except Bad as bad:
        values, payload = _otherwise(data, bad, contracts, found)
        for document in values:
            contracts.read(document, found)
    else:
        payload = _one_line(data) if b"\n" in data or b"\r" in data else data
        contracts.read(document, found)
    reasons = found.reasons
    rejected = sum(reasons.values()) if reasons else 0
    return Decoded(found.readings, found.rejects, rejected, reasons, payload, payload is data)


def _one_line(text: bytes) -> bytes:
    # JSON allows no raw line break inside a string, so all of them are blanks between tokens.
    return text.translate(_BREAKS_TO_SPACES)


def _by_own(message: Any, data: bytes, contracts: Contracts, found: Found) -> Decoded:
    contracts.read(message, found)
    try:
        json_text.strict(data)
        payload = _one_line(data) if b"\n" in data or b"\r" in data else data
    except Bad:
        payload = _NO_JSON
    return Decoded(found.readings, found.rejects, sum(found.reasons.values()), found.reasons, payload, payload is data)


def own_message(data: bytes, contracts: Contracts, partition_key: str) -> Any:
    """What the own decoder answers, in the form of parsed JSON: an object, an array or a Bad; None: nothing of its."""
    return contracts.own(data, partition_key) if contracts.own else None


def documents(data: bytes, contracts: Contracts, found: Found) -> list[Any]:
    """The values of a record, as `contracts` read them; a Bad for what is none."""
    message = own_message(data, contracts, found.partition_key)
    if message is not None:
        return [message]
    try:
        return [json_text.strict(data)]
    except Bad as bad:
        return _otherwise(data, bad, contracts, found)[0]


def _otherwise(data: bytes, whole: Bad, contracts: Contracts, found: Found) -> tuple[list[Any], bytes]:
    """The values of a record that is no JSON as it stands, and the line for the archive; `whole` says why it is not."""
    try:
        text = encodings.expanded(data) if encodings.compressed(data) else data
        if value := encodings.binary(text, contracts.encoding):
            document, found.encoding = value
            return [document], _NO_JSON
    except Bad as bad:
        return [bad], _NO_JSON
    text = text.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\0")
    if text is not data:
        try:
            return [json_text.strict(text)], _one_line(text)
        except Bad as bad:
            whole = bad
    values = json_text.values(text)
    if not any(type(value) in (dict, list) for value, _ in values):
        return [whole], _NO_JSON
    own = [_one_line(line) for _, line in values]
    return [value for value, _ in values], own[0] if len(own) == 1 else b"[" + b",".join(own) + b"]"
