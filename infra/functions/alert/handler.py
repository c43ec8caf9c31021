"""Called with each reading that meets the condition: by the IoT rule with the device's message, or by the consumer.

Both add what only they know: `sensorstreamDevice` (of the topic, or of the row) and `sensorstreamArrival` (ms); the
consumer has decoded the reading, and gives `sensorstreamValue` and `sensorstreamTime` (ms) instead of the message. A
message that was sent again from the queue of what could not be delivered may have none of them.

Environment: TOPIC_ARN; ALERT_FIELD, ALERT_WHEN, ALERT_UNIT; ALERT_DEVICE_FIELD, ALERT_TIME_FIELD, ALERT_MAX_AGE (s, 0
for any). What SNS refuses is raised, so that Lambda tries again and then keeps the event in that queue; nothing that a
device sends fails the function.

With a policy (ALERT_POLICY, see policy.py; then also ALERT_THRESHOLD or HUMIDITY_THRESHOLD, STACK_NAME, SENSOR_TABLE,
DEVICES_TABLE) an alert is told of each episode instead of each reading, and a schedule calls with EVERY_MINUTE.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config

from . import minute
from .fleet import Fleet
from .policy import parse
from .service import Alerts, Words
from .store import Store
from .words import attributes

EVERY_MINUTE = {"sensorstreamMinute": True}
"""The event of the schedule. A rule adds more to a message, so no device can send it."""
LATE = 7_200_000
"""ms from a reading's arrival after which it begins and ends no episode: what a device was like then is no news, and
what ended meanwhile is no longer remembered."""
REFERENCE = ("humidity", "below")
"""Of this field and direction the texts are those of the reference architecture."""
WORDS = {"below": "under", "above": "over"}
MAX_DEVICE = 256  # characters of a name with a policy
MAX_VALUE = 64  # characters of a value as it was sent; a longer one is told by its first digits
TOO_MUCH = Decimal("1E126")  # for the table, too: DynamoDB's numbers are smaller
MAX_SUBJECT = 99  # SNS takes less than 100
MILLIS = ((10**11, 1000), (10**14, 1), (10**17, 10**-3), (10**20, 10**-6))
"""Below each bound a time since the epoch is in s, ms, us, ns: for the years 2000 to 2099 they do not overlap."""
LATEST = 10**14  # ms: the year 5138; the tables' times end with 9999

sns = boto3.client("sns")


def handle(event: dict[str, Any], _context: object) -> None:
    """A value that is a text is reported as it was sent; a number is what Lambda's runtime has parsed, a float of some
    17 digits."""
    given = os.environ
    if event == EVERY_MINUTE:
        minute.run(alerts())
        return
    field, when = given.get("ALERT_FIELD", REFERENCE[0]), given.get("ALERT_WHEN", REFERENCE[1])
    value = event.get("sensorstreamValue", found(event, field))
    device = name(found(event, given.get("ALERT_DEVICE_FIELD", "name"))) or name(event.get("sensorstreamDevice"))
    sent = event.get("sensorstreamTime", found(event, given.get("ALERT_TIME_FIELD", "timeStampEpoch")))
    if value is None:
        print(
            f"not reported: {field} is not in the message of {device!a}"
        )  # it was sent again under another AlertField
        return
    if (old := age(sent, event.get("sensorstreamArrival"))) > (most := int(given.get("ALERT_MAX_AGE", "0"))) > 0:
        print(f"not reported: the reading of {device!a} was {old:.0f} s old when it arrived, more than {most} s")
        return
    if given.get("ALERT_POLICY"):
        observe(device, value, sent, event.get("sensorstreamArrival"))
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


@cache
def alerts() -> Alerts:
    """By the policy in the environment; ValueError if it is none, which fails each call."""
    given = os.environ
    field, when = given["ALERT_FIELD"], given["ALERT_WHEN"]
    policy = parse(given["ALERT_POLICY"], when, given["ALERT_THRESHOLD"] or given["HUMIDITY_THRESHOLD"])
    dynamodb = boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=5))
    once = boto3.client("sns", config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}))
    return Alerts(
        policy,
        Store(dynamodb, f"{given['STACK_NAME']}-alerts"),
        Fleet(dynamodb, given["SENSOR_TABLE"], given["DEVICES_TABLE"], field),
        partial(once.publish, TopicArn=given["TOPIC_ARN"]),
        Words("Humidity" if (field, when) == REFERENCE else field, when, f" {u}" if (u := given["ALERT_UNIT"]) else ""),
    )


def observe(device: str | None, value: Any, sent: Any, arrived: Any) -> None:
    """A reading under a policy; what cannot be a state of a device is logged."""
    now = time.time_ns() // 1_000_000
    try:
        number = Decimal(str(value).strip())
        (device or "").encode()
    except (InvalidOperation, UnicodeEncodeError):
        number = Decimal("NaN")
    usable = number.is_finite() and number.copy_abs() < TOO_MUCH and not isinstance(value, bool)
    if not device or len(device) > MAX_DEVICE or not usable:
        print(f"not reported: {str(value)[:40]!a} of {str(device)[:MAX_DEVICE]!a} is no number of a device with a name")
        return
    came = int(arrived) if isinstance(arrived, int | float) else now
    if now - came > LATE:
        print(f"not reported: the reading of {device!a} arrived {(now - came) // 60_000} minutes ago")
        return
    moment = millis(sent)
    at = int(moment) if moment is not None and 0 < moment < LATEST else came
    alerts().reading(device, number, str(value) if len(str(value)) <= MAX_VALUE else f"{number:.20g}", at)
