"""Called with each reading that meets the condition: by the IoT rule with the device's message, or by the consumer.

Both add what only they know: `sensorstreamDevice` (of the topic, or of the row) and `sensorstreamArrival` (ms); the
consumer has decoded the reading, and gives `sensorstreamValue` and `sensorstreamTime` (ms) instead of the message. A
message that was sent again from the queue of what could not be delivered may have none of them.

Environment: TOPIC_ARN; ALERT_FIELD, ALERT_WHEN, ALERT_UNIT; ALERT_DEVICE_FIELD, ALERT_TIME_FIELD, ALERT_MAX_AGE (s, 0
for any). What SNS refuses is raised, so that Lambda tries again and then keeps the event in that queue; nothing that a
device sends fails the function.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

REFERENCE = ("humidity", "below")
"""Of this field and direction the texts are those of the reference architecture."""
WORDS = {"below": "under", "above": "over"}
MAX_ATTRIBUTE = 256  # characters of an attribute; names of devices have 128 at most
MAX_SUBJECT = 99  # SNS takes less than 100
MILLIS = ((10**11, 1000), (10**14, 1), (10**17, 10**-3), (10**20, 10**-6))
"""Below each bound a time since the epoch is in s, ms, us, ns: for the years 2000 to 2099 they do not overlap."""

sns = boto3.client("sns")


def handle(event: dict[str, Any], _context: object) -> None:
    """A value that is a text is reported as it was sent; a number is what Lambda's runtime has parsed, a float of some
    17 digits."""
    given = os.environ
    field, when = given.get("ALERT_FIELD", REFERENCE[0]), given.get("ALERT_WHEN", REFERENCE[1])
    value = event.get("sensorstreamValue", found(event, field))
    device = name(found(event, given.get("ALERT_DEVICE_FIELD", "name"))) or name(event.get("sensorstreamDevice"))
    sent = event.get("sensorstreamTime", found(event, given.get("ALERT_TIME_FIELD", "timeStampEpoch")))
    if value is None:
        print(f"not reported: {field} is not in the message of {device}")  # it was sent again under another AlertField
        return
    if (old := age(sent, event.get("sensorstreamArrival"))) > (most := int(given.get("ALERT_MAX_AGE", "0"))) > 0:
        print(f"not reported: the reading of {device} was {old:.0f} s old when it arrived, more than {most} s")
        return
    shown, word = ("Humidity" if (field, when) == REFERENCE else field), WORDS[when]
    unit = f" {given['ALERT_UNIT']}" if given.get("ALERT_UNIT") else ""
    sns.publish(
        TopicArn=given["TOPIC_ARN"],
        Subject=f"Attention:{shown} {word.capitalize()} Threshold"[:MAX_SUBJECT],
        Message=f"{shown} {value}{unit} {word} threshold for device name {device or 'unknown'}",
        MessageAttributes=attributes(
            device=device, value=value, time=sent, field=None if (field, when) == REFERENCE else field
        ),
    )


def found(event: Any, path: str) -> Any:
    """What a dotted path leads to; None where it leads nowhere."""
    for key in path.split("."):
        event = event.get(key) if isinstance(event, Mapping) else None
    return event


def name(given: Any) -> str | None:
    """The name of a device: a text that is not empty, or a whole number."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        return None
    return str(given).strip() or None


def age(sent: Any, arrived: Any) -> float:
    """Seconds from a reading's time to its arrival; 0 where one of them is not known. The arrival and not now: what
    waited for us, in the stream or in a queue, is not the older for it."""
    moment = millis(sent)
    return (arrived - moment) / 1000 if moment is not None and isinstance(arrived, int | float) else 0.0


def millis(sent: Any) -> float | None:
    """A time in ms since the epoch: of a number, a text with a number, or ISO-8601 (UTC unless it says otherwise)."""
    try:
        number = float(sent)
    except (TypeError, ValueError, OverflowError):
        try:
            moment = datetime.fromisoformat(sent)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
        except (TypeError, ValueError, OverflowError):
            return None
    return next((number * factor for bound, factor in MILLIS if abs(number) < bound), None)


def attributes(**values: object) -> dict[str, Any]:
    """The alert for programs: texts of 1..MAX_ATTRIBUTE characters. Other values are left out, so that an unusual value
    does not prevent the alert."""
    texts = {name: str(value) for name, value in values.items() if value is not None}
    return {
        name: {"DataType": "String", "StringValue": text}
        for name, text in texts.items()
        if 0 < len(text) <= MAX_ATTRIBUTE and text.isprintable()
    }
