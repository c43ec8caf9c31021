"""Pure: payloads that no consumer can take as readings, each with the reason it must be rejected for.

Their humidity, where there is one, does not raise an alert; the rule checks nothing else and would
fire.
"""

import json
from collections.abc import Callable

from producer.fleet.message import Message

Maker = Callable[[str, int], tuple[bytes, str]]


def _document(device: str, number: int, **changes: object) -> bytes:
    """A good reading with some fields changed; None leaves a field out."""
    fields = {"name": device, "humidity": 50, "timeStampEpoch": 1_700_000_000_000, "n": number} | changes
    return json.dumps({k: v for k, v in fields.items() if v is not None}).encode()


MALFORMED: tuple[Maker, ...] = (
    lambda device, n: (f'soil is wet "n": {n}'.encode(), "not-json"),
    lambda device, n: (f'{{"n":{n},"name":"{device}","humidity":5'.encode(), "not-json"),
    lambda device, n: (f'"of \\"n\\":{n} only the text arrived"'.encode(), "not-an-object"),
    lambda device, n: (_document(device, n, humidity=None), "missing-field"),
    lambda device, n: (_document(device, n, name=None), "missing-field"),
    lambda device, n: (_document(device, n, timeStampEpoch=None), "missing-field"),
    lambda device, n: (_document(device, n, humidity=True), "wrong-type"),
    lambda device, n: (_document(device, n, humidity={"percent": 50}), "wrong-type"),
    lambda device, n: (_document(device, n, name=17.5), "wrong-type"),
    lambda device, n: (_document(device, n, humidity="NaN"), "not-finite"),
    lambda device, n: (_document(device, n, humidity="9" * 200), "number-out-of-range"),
    lambda device, n: (_document(device, n, timeStampEpoch=10**17), "time-out-of-range"),
    lambda device, n: (
        f'{{"sensorid":"{device}","value":50,"timestamp":"yesterday","n":{n}}}'.encode(),
        "bad-time",
    ),
    lambda device, n: (_document("x" * 2049, n), "too-long"),
)

# Not over MQTT: what a rule makes of bytes that are not text is the rule engine's affair.
BINARY: tuple[Maker, ...] = (lambda device, n: (b'\xff\xfe{"n":%d}' % n, "not-utf8"),)


def malformed(device: str, number: int, *, kind: int, binary: bool) -> Message:
    """The message of the given kind (any whole number; the kinds repeat)."""
    makers = MALFORMED + BINARY if binary else MALFORMED
    payload, reason = makers[kind % len(makers)](device, number)
    return Message(number, device, payload, (), (reason,))
