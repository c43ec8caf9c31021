"""Pure: parses JSON text with exact numbers, and recovers the valid parts of text that is not quite JSON.

`strict` parses valid JSON. `values` is for other text: several values one after the other, and arrays and objects with
an invalid part (a bare NaN, a byte that is not UTF-8), which is replaced by a `Bad`. An object with wrong punctuation
is replaced as a whole.
"""

import re
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, Final

import msgspec

from consumer.payload.values import Bad, exact, shown

MAX_DEPTH: Final = 64  # a limit of our own: where Python's recursion ends depends on the caller's stack
MAX_SAVED: Final = 2**20
"""Longest text from which valid parts are recovered, in bytes; it takes about a second."""
BLANK: Final = b" \t\r\n"
_SEPARATORS = BLANK + b",\x1e"  # between values of a record; the last one stands before each in RFC 7464
_VALUE = re.compile(rb"[^ \t\r\n,\0\x1e]")
_LINE = re.compile(rb"[^\n{\[][^\n]*")
_BETWEEN = re.compile(rb"[^\n{\[]+")
_ARRAY = ord("[")

# A string, also one that never ends: otherwise each quote in it would start another search to the end.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(_STRING.pattern + rb"|[{}\[\]]", re.DOTALL)
_TOKEN = re.compile(rb'[ \t\r\n]*+("(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^ \t\r\n"{}\[\]:,]++)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_decode_json = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_json_with_care = msgspec.json.Decoder(float_hook=exact).decode


def strict(text: bytes) -> Any:
    """JSON -> objects, numbers exact (int or Decimal). Raises Bad."""
    # Few bytes or few brackets cannot nest deeply, so most payloads need no exact count.
    if len(text) > 2 * MAX_DEPTH and text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise Bad("not-json", f"nested deeper than {MAX_DEPTH} levels")
    try:
        try:
            return _decode_json(text)
        except InvalidOperation:
            return _decode_json_with_care(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(text, error) from None


def _depth(text: bytes) -> int:
    """How deep brackets nest, strings aside; exact for JSON, and for other text up to where it goes wrong."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def _unreadable(text: bytes, error: Exception) -> Bad:
    if not text.strip(BLANK):
        return Bad("empty", "no payload")
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return Bad("not-utf8", f"byte {wrong.start}: {wrong.reason}")
    if isinstance(error, msgspec.ValidationError):
        # All that a decoder without a type can find invalid: an integer of thousands of digits, which
        # Python's own reader of the archive would refuse, too.
        return Bad("number-out-of-range", "an integer of thousands of digits")
    return Bad("not-json", str(error))


def values(text: bytes) -> list[tuple[Any, bytes]]:
    """The values of a text that is not one JSON value, each with its own text, `null` where that is not valid JSON.

    From an object that is never closed, each line is parsed by itself, so that the error does not affect the lines
    after it. Of an array that is never closed the complete elements are kept.
    """
    found: list[tuple[Any, bytes]] = []
    place = 0 if text.startswith(b"\0") else _skip(text, 0)  # a NUL ends a value; before the first it is none
    while place < len(text):
        end = _end(text, place, bool(found) and type(found[-1][0]) is not Bad)
        if end is None and text[place] != _ARRAY and b"\n" in text:
            return found + [value for line in text[place:].split(b"\n") for value in values(line)]
        own = text[place:end].rstrip(_SEPARATORS)
        found.append(_value(own))
        place = _skip(text, place + len(own))
    return found


def _skip(text: bytes, place: int) -> int:
    """Where the next value begins."""
    rest = _VALUE.search(text, place)
    return rest.start() if rest else len(text)


def _end(text: bytes, place: int, after_value: bool) -> int | None:
    """Where the value at `place` ends: at its closing bracket (None without one); other text ends with its line,
    `after_value` where a bracket opens: it stands between two values."""
    if other := (_BETWEEN if after_value else _LINE).match(text, place):
        return other.end()
    depth = 0
    for token in _BRACKET.finditer(text, place):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _value(text: bytes) -> tuple[Any, bytes]:
    try:
        return strict(text), text
    except Bad as bad:
        bad.__traceback__ = None  # many may be kept
        # Nothing can be recovered of an unclosed object, nor of what is neither object nor array.
        if not (text[0] == _ARRAY or (text[:1] == b"{" and text[-1:] == b"}")) or len(text) > MAX_SAVED:
            return bad, b"null"
        try:
            saved = _Saver(text).value(0)
        except _TooDeepError:
            return bad, b"null"
        return bad if type(saved) is Bad else saved, b"null"


class _TooDeepError(Exception):
    pass


class _Saver:
    """Parses an array or object that is not quite JSON, up to the end of the text."""

    def __init__(self, text: bytes) -> None:
        self._tokens = _TOKEN.finditer(text)
        self._next()

    def _next(self) -> None:
        found = next(self._tokens, None)
        self._token: bytes = found[1] if found else b""

    def value(self, depth: int) -> Any:
        """The value that begins with the present token, within `depth` brackets."""
        token = self._token
        self._next()
        if token not in (b"{", b"["):
            try:
                return strict(token)
            except Bad as bad:
                bad.__traceback__ = None
                return bad
        if depth >= MAX_DEPTH:
            raise _TooDeepError
        return self._object(depth + 1) if token == b"{" else self._array(depth + 1)

    def _array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while self._token != b"]":
            if not self._token:
                if not items or type(items[-1]) is not Bad:
                    items.append(Bad("not-json", "an array that is never closed"))
                return items
            if self._token == b",":
                self._next()
                continue
            item = self.value(depth)
            if self._token not in (b",", b"]", b"{", b"[", b""):
                item = Bad("not-json", f"not a comma after a value: {shown(self._token.decode(errors='replace'))}")
                self._skip(until=(b",", b"]"))
            items.append(item)
        self._next()
        return items

    def _object(self, depth: int) -> Any:
        members: dict[str, Any] = {}
        comma = False
        while comma or self._token != b"}":
            key = self._key()
            if key is None:
                return self._broken()
            members[key] = self.value(depth)
            comma = self._token == b","
            if comma:
                self._next()
            elif self._token != b"}":
                return self._broken()
        self._next()
        return members

    def _broken(self) -> Bad:
        """Skips the rest of an invalid object."""
        self._skip(until=(b"}", b"]"))
        self._next()
        return Bad("not-json", "an object that is no JSON")

    def _key(self) -> str | None:
        """The key of the next member, and moves to its value; None if there is no valid key."""
        token = self._token
        if not token.startswith(b'"'):
            return None
        self._next()
        if self._token != b":":
            return None
        self._next()
        if self._token in (b"", b",", b":", b"}", b"]"):
            return None
        try:
            return str(strict(token))
        except Bad:
            return None

    def _skip(self, until: tuple[bytes, bytes]) -> None:
        """Skips to the next of two tokens outside of nested brackets."""
        depth = 0
        while self._token and (depth or self._token not in until):
            depth += (self._token in (b"{", b"[")) - (self._token in (b"}", b"]"))
            self._next()
