"""The JSON of BatchWriteItem: requests from readings, and what an answer leaves unwritten. No I/O.

A row holds what was sent: `{SensorId, Timestamp, Value}` and, depending on settings, `Measures`, `TimeSource` and
`ExpiresAt`. The texts are put together by hand: a tenth of the time of a serializer.
"""

import json
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from consumer.aws.errors import NotUnderstood
from consumer.payload.reading import Reading
from consumer.payload.times import timestamp

BUCKETS: Final = 16
"""Partitions of the list of devices, as infra/functions/api/store.py reads them."""
_quoted = json.JSONEncoder().encode
"""Any string as JSON in ASCII, whatever it holds."""
_ITEM = '{"PutRequest":{"Item":{'
_NOTHING_LEFT = b'{"UnprocessedItems":{}}'


class _Put(msgspec.Struct):
    PutRequest: msgspec.Raw


class _Answer(msgspec.Struct):
    UnprocessedItems: dict[str, list[_Put]]


_decode = msgspec.json.Decoder(_Answer).decode


def put_request(reading: Reading, expires: int | None) -> str:
    """The request to write a reading's row; `expires` in seconds since the epoch, None for never."""
    text = f'{_ITEM}"SensorId":{{"S":{_quoted(reading.device)}}},"Timestamp":{{"S":"{timestamp(reading.time_ms)}"}}'
    if reading.value is not None:
        text += f',"Value":{{"N":"{reading.value!s}"}}'
    if reading.measures:
        measures = ",".join(f'{_quoted(name)}:{{"N":"{value!s}"}}' for name, value in reading.measures.items())
        text += f',"Measures":{{"M":{{{measures}}}}}'
    if reading.arrived:
        text += ',"TimeSource":{"S":"arrival"}'
    if expires is not None:
        text += f',"ExpiresAt":{{"N":"{expires}"}}'
    return text + "}}}"


def list_request(reading: Reading, arrival: int | None) -> str:
    """The request to write a device's entry in the list of devices: its row, when that arrived, and the partition.

    Without an arrival time (ms since the epoch) it is the reading's own.
    """
    bucket = zlib.crc32(reading.device.encode(errors="surrogatepass")) % BUCKETS
    seen = timestamp(reading.time_ms if arrival is None else arrival)
    row = put_request(reading, None).removeprefix(_ITEM)
    return f'{_ITEM}"Bucket":{{"N":"{bucket}"}},"Seen":{{"S":"{seen}"}},{row}'


def body(table: str, requests: Sequence[str]) -> bytes:
    """The body of one BatchWriteItem."""
    return f'{{"RequestItems":{{{_quoted(table)}:[{",".join(requests)}]}}}}'.encode()


def unprocessed(answer: bytes, table: str, sent: int) -> list[str]:
    """The requests that were not executed, of `sent` to `table`: the table takes what its capacity allows.

    Raises NotUnderstood for an answer that does not say exactly that.
    """
    if answer == _NOTHING_LEFT:
        return []
    try:
        left = _decode(answer).UnprocessedItems
        requests = [f'{{"PutRequest":{bytes(put.PutRequest).decode()}}}' for put in left.pop(table, [])]
    except ValueError as error:
        raise NotUnderstood(operation="BatchWriteItem", what=str(error)) from error
    if left or len(requests) > sent:
        raise NotUnderstood(operation="BatchWriteItem", what="it returns rows that were not sent")
    return requests
