"""Payloads that hold no reading, of more than a thousand kinds: what broken, confused or hostile devices may send.

Each kind is bad by construction, not because `decode` says so; a test holds the two together.
"""

import base64
import gzip
import json
import math
import random
import zlib
from collections.abc import Callable, Iterator

import cbor2
import msgspec

from consumer.payload.encodings import MAX_EXPANDED

# Word lists read best packed.
# fmt: off
# JSON texts that are no number for us; some are not even JSON.
NOT_NUMBERS = [
    "NaN", "Infinity", "-Infinity", "nan", "undefined", "null", "true", "false", "[]", "{}", "[20]", '{"v":20}',
    '{"20":20}', "[[[]]]", "1e400", "-1e400", "1e126", "1e-131", "-1e-200", "1e999999999999999999999",
    "1e-999999999999999999999", "1" * 39, "-" + "9" * 60, "0." + "1" * 39, "1." + "0" * 37 + "01", "1" * 5000,
    "0.1" + "3" * 5000, "01", "+1", "1.", ".5", "1e", "1e+", "--1", "1.2.3", "0x10", "1_000", "1,5", "20%", "-", "0b1",
    "1f", "1 0",
]
NOT_NUMBER_STRINGS = [
    "", " ", "abc", " 20", "20 ", "\t20", "20\n", "2 0", "1_000", "1,5", "1.000,5", "20%", "20 %", "20C", "0x14", "1e",
    "NaN", "nan", "-nan", "sNaN", "Infinity", "-Infinity", "inf", "+inf", "1.#INF", "1.#QNAN", "None", "null", "true",
    "٢٠", "２０", "二十", "½", "²", "−20", "20\u00a0", "\ufeff20", "20\u0000", "\u0000", "--20", "+-20", "1.2.3", ".",
    "1e400", "1e126", "1e-131", "-1e-200", "1" * 39, "1e999999999999999999999", "20e", "e5", "++1", "[20]", '{"v":1}',
    "'20'", '"20"', "twenty", "20;DROP TABLE", "${20}", "{{20}}", "%s", "20\u200b", "1e5e5", "5." + "1" * 2000,
]
NOT_EPOCHS = [
    "null", "true", "false", "[]", "{}", '""', '"now"', '"17640000000"', '"2026-11-22T10:48:16"', "[1764000000000]",
    "17640000000", "17640000000000000", "17640000000000000000", "0", "-1", "1", "946684799", "946684799999",
    "4102444800", "4102444800000", "4102444800000000", "4102444800000000000", "9" * 30, "-" + "9" * 30, "9" * 5000,
    "17640000000.0", "1.764e10", "1e400", "NaN", "-0", "-1764000000",
]
NOT_MOMENTS = [
    "", " ", "yesterday", "now", "NaN", "17640000000", "1_764_000_000", "2026", "2026-11", "2026-11-22", "10:48:16Z",
    "2026-11-22T10:48:16", "2026-11-22T10:48:16.123", "2026-11-22 10:48", "2026-11-22T10:48:16+", "2026-11-22T10Z",
    "2026-13-22T10:48:16Z", "2026-00-22T10:48:16Z", "2026-02-30T10:48:16Z", "2027-02-29T10:48:16Z", "T", "Z",
    "2026-11-22T24:00:00Z", "2026-11-22T25:48:16Z", "2026-11-22T10:60:16Z", "2026-11-22T23:59:60Z",
    "1999-12-31T23:59:59.999Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-23:59",
    "1970-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "10000-01-01T00:00:00Z", "+002026-11-22T10:48:16Z",
    "22.11.2026 10:48:16", "11/22/2026 10:48:16 AM", "Sun, 31 Nov 2026 10:48:16 GMT", "20261122T104816",
    "Sun, 22 Now 2026 10:48:16 GMT", "Sun, 22 Nov 2026 25:48:16 GMT", "Sun, 22 Nov 26 10:48:16 GMT", "20261122T254816Z",
    "2026-W47-7T10:48:16Z", "2026-326T10:48:16Z", "2026-11-22T10:48:16ZZ", "2026-11-22T10:48:16  Z",
    " 2026-11-22T10:48Z", "2026-11-22T10:48:16Z ", "2026-11-22T10:48:16.Z", "2026-11-22T10:48:16+24:00",
    "2026-11-22T10:48:16+1:00", "2026-11-22T10:48:16 CET", "2026-11-22T10:48:16[Europe/Berlin]",
    "2026–11–22T10:48:16Z", "٢٠٢٦-11-22T10:48:16Z", "2026-11-22T10:48:16Z\u0000", "2026-11-22\u0000T10:48:16Z",
    "2026_11_22T10:48:16Z", "2026-1-2T3:4:5Z",
]
NOT_NAMES = [
    "null", "true", "1.5", "[]", "{}", '["soil"]', '{"id":"soil"}', '""', '"' + "x" * 2049 + '"', "soil",
    '"' + "ü" * 1025 + '"', '"' + "🌱" * 513 + '"', '"\\ud800"', '"\\udc00"', '"a\\ud83d"', '"\\ud83d\\ud83d"',
    '"\\x41"', '"\\u12"', '"\\u00zz"', '"\\', '"\\"', "'soil'", '"soil', 'soil"', "NaN", "1e400", "9" * 5000,
]
NOT_UTF8 = [
    b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0\x80", b"\xc3", b"\xe4", b"\xf6", b"\xfc", b"\xdf", b"\xb0", b"\xe2\x82",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xf0\x9f\x8c",
]
BEFORE = [
    b"\x00", b")]}',", b"data: ", b"/**/", b"// ", b"#", b"callback(", b'"', b"\x0b", b"{", b"\xef\xbb",
]
NO_OBJECTS = [
    b"null", b"true", b"false", b"0", b"-0.0", b"20", b"1e5", b'""', b'"soil"', b'"\\u0000"', b'"{}"', b"[]",
]
GARBAGE = [
    b"", b" ", b"\n", b"\r\n\t ", b"\x00", b"\x00" * 100, b"soil,20,1764000000000", b"name=soil&humidity=20", b"{",
    b"}", b"[", b"]", b'"', b"{]", b"[}", b"{}{}", b"[][]", b"{},", b"[,]", b"{,}", b"{:}", b'{"name"}', b'{"name":}',
    b"{1:2}", b"<reading name='soil'>20</reading>", b"name: soil\nhumidity: 20\n", b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00", b"\x7fELF\x02\x01\x01", b"PK\x03\x04", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"null null",
    b"{} null", b"'{}'", b"None",
]
# fmt: on


def _generation_2(name: str = '"soil"', value: str = "50", time: str = "1764000000000", more: str = "") -> bytes:
    return f'{{"name":{name},"humidity":{value},"timeStampEpoch":{time}{more}}}'.encode()


def _generation_1(
    name: str = '"soil"', value: str = "50", time: str = '"2026-11-22T10:48:16Z"', more: str = ""
) -> bytes:
    return f'{{"sensorid":{name},"value":{value},"timestamp":{time}{more}}}'.encode()


def _quoted(texts: list[str]) -> list[str]:
    return [json.dumps(text, ensure_ascii=index % 2 == 0) for index, text in enumerate(texts)]


def _wrong_fields() -> Iterator[bytes]:
    for make in (_generation_2, _generation_1):
        for value in [*NOT_NUMBERS, *_quoted(NOT_NUMBER_STRINGS)]:
            yield make(value=value)
            # of equal keys the last one holds
            yield make(more=f',"{"humidity" if make is _generation_2 else "value"}":{value}')
        for name in NOT_NAMES:
            yield make(name=name)
    for time in NOT_EPOCHS:
        yield _generation_2(time=time)
    for time in [*_quoted(NOT_MOMENTS), "null", "true", "17640000000", "[]", "{}", "2026-11-22T10:48:16Z"]:
        yield _generation_1(time=time)
    yield _generation_2(more=',"timeStampIso":"')


def _missing_fields() -> Iterator[bytes]:
    for whole in (_generation_2(), _generation_1()):
        fields = json.loads(whole)
        for name in fields:
            yield json.dumps({key: value for key, value in fields.items() if key != name}).encode()
            yield json.dumps({key: value for key, value in fields.items() if key == name}).encode()
            for other in (name.upper(), name.title(), f"{name} ", f" {name}", f"{name}s", name[:-1], f"{name}\u0000"):
                yield json.dumps({other if key == name else key: value for key, value in fields.items()}).encode()
        for wrapper in ("reading", "payload", "state", "data", "Records", "d"):
            yield json.dumps({wrapper: fields}).encode()
            yield json.dumps({wrapper: [fields]}).encode()
        yield json.dumps(list(fields.values())).encode()
        yield json.dumps([list(fields), list(fields.values())]).encode()
        yield json.dumps([[fields]]).encode()
        yield json.dumps(json.dumps(fields)).encode()


def _broken_text() -> Iterator[bytes]:
    for whole in (_generation_2(more=',"timeStampIso":"2026-11-22T10:48:16"'), _generation_1()):
        yield from (whole[:end] for end in range(1, len(whole)))
        yield from (whole[start:] for start in range(1, len(whole) - 1))
        yield from (whole.replace(b"soil", b"so%cil" % control) for control in range(32))
        yield from (whole.replace(b"soil", b"so" + wrong + b"il") for wrong in NOT_UTF8)
        yield from (whole.replace(b'"soil"', b'"soil",' + wrong) for wrong in NOT_UTF8)
        yield from (before + whole for before in BEFORE)
        for old, new in (
            (b'"', b"'"),
            (b":", b"="),
            (b",", b";"),
            (b",", b""),
            (b":", b""),
            (b'"', b""),
            (b"}", b",}"),
        ):
            yield whole.replace(old, new)
        yield from (
            whole.replace(b":", b":" + blank) for blank in (b"\x0b", b"\x0c", b"\xc2\xa0", b"\xe2\x80\xa8", b"\\n")
        )


def _other_formats() -> Iterator[bytes]:
    for whole in (_generation_2(), _generation_1()):
        text = whole.decode()
        yield from (text.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037"))
        yield gzip.compress(whole, mtime=0)[:-1]
        yield gzip.compress(whole[:-1], mtime=0)
        yield gzip.compress(gzip.compress(whole, mtime=0), mtime=0)
        yield zlib.compress(whole)[:-5]
        yield zlib.compress(whole, wbits=-15)
        yield cbor2.dumps(json.loads(whole))[:-1]
        yield cbor2.dumps(json.loads(whole)) + b"\x00"
        yield msgspec.msgpack.encode(json.loads(whole))[:-1]
        yield msgspec.msgpack.encode({**json.loads(whole), "value": math.nan, "humidity": math.inf})
        yield base64.b64encode(whole)
        yield whole.hex().encode()
        yield repr(json.loads(whole)).encode()
        yield text.replace("{", "%7B").encode()
        yield whole[::-1]
        yield bytes(byte ^ 0x80 for byte in whole)
        yield text.replace("soil", "größe").encode("latin-1")
    yield from GARBAGE
    yield from NO_OBJECTS
    yield from (b"[" + item + b"]" for item in NO_OBJECTS)


def _bombs() -> Iterator[bytes]:
    yield gzip.compress(b" " * (MAX_EXPANDED + 1), mtime=0)
    yield zlib.compress(b"[" * (MAX_EXPANDED + 1))
    twice = b"\xd8\x1c\x82\x00\x00"  # marked to be referred to
    for level in range(24):
        twice = b"\xd8\x1c\x82" + twice + b"\xd8\x1d" + cbor2.dumps(23 - level)
    yield twice


def _deep() -> Iterator[bytes]:
    for depth in (65, 66, 100, 500, 900, 1_000, 1_100, 10_000, 100_000):
        yield b"[" * depth
        yield b"[" * depth + b"]" * depth
        yield b'{"a":' * depth + b"1" + b"}" * depth
        yield b'[{"a":' * depth
        yield _generation_2(more=',"a":' + "[" * depth + "]" * depth)
        yield _generation_2(more=',"a":' + "[" * depth + "]" * depth + ',"a":1')


KINDS: tuple[Callable[[], Iterator[bytes]], ...] = (
    _wrong_fields,
    _missing_fields,
    _broken_text,
    _other_formats,
    _bombs,
    _deep,
)


def malformed(count: int, seed: int) -> list[bytes]:
    """`count` different payloads without a single reading, in an order that the seed determines.

    The first thousand and more are all different in kind; what is asked beyond them are random bytes, and arrays
    and lines of bad readings.
    """
    rng = random.Random(seed)
    kinds = list(dict.fromkeys(payload for kind in KINDS for payload in kind()))
    rng.shuffle(kinds)
    found = dict.fromkeys(kinds[:count])
    fields = [payload for payload in _wrong_fields() if _is_json(payload)]
    while len(found) < count:
        parts = rng.sample(fields, rng.randint(2, 5))
        makers = (
            lambda: b"\x00" + rng.randbytes(rng.randint(1, 300)),
            lambda parts=parts: b"[" + b",".join(parts) + b"]",
            lambda parts=parts: b"\n".join(parts),
        )
        found[rng.choice(makers)()] = None
    return list(found)


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload, parse_constant=int)  # int refuses NaN and the like
    except ValueError:
        return False
    return True
