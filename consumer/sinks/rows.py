"""The JSON of BatchWriteItem: requests from readings, and what an answer leaves unwritten. No I/O.

A row holds what was sent: `{SensorId, Timestamp, Value}` and, depending on settings, `Measures`, `TimeSource` and
`ExpiresAt`. The texts are put together by hand: a tenth of the time of a serializer.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Final

import msgspec

from consumer.aws.errors import NotUnderstood
from consumer.payload.reading import Reading
from consumer.payload.times import timestamp

BUCKETS: Final = 16
"""Partitions of the list of devices, as infra/functions/api/store.py reads them."""
Arrived = tuple[Reading, int | None]
"""A reading, and when Kinesis took its record (ms since the epoch)."""
Requests = Mapping[str, Sequence[str]]
"""What one BatchWriteItem holds: for each table the requests to it, as JSON. No table without one."""
_quoted: Callable[[str], str] = encode_basestring_ascii
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


def body(requests: Requests) -> bytes:
    """The body of one BatchWriteItem."""
    tables = [f"{_quoted(table)}:[{','.join(texts)}]" for table, texts in requests.items()]
    return f'{{"RequestItems":{{{",".join(tables)}}}}}'.encode()


def unprocessed(answer: bytes, sent: Requests) -> Requests:
    """The requests that were not executed, of those that were `sent`: a table takes what its capacity allows.

    Raises NotUnderstood for an answer that does not say exactly that.
    """
    if answer == _NOTHING_LEFT:
        return {}
    try:
        left = {
            table: [f'{{"PutRequest":{bytes(put.PutRequest).decode()}}}' for put in puts]
            for table, puts in _decode(answer).UnprocessedItems.items()
            if puts
        }
    except ValueError as error:
        raise NotUnderstood(operation="BatchWriteItem", what=str(error)) from error
    if any(len(texts) > len(sent.get(table, ())) for table, texts in left.items()):
        raise NotUnderstood(operation="BatchWriteItem", what="it returns rows that were not sent")
    return left
