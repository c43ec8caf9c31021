"""Called by the IoT rule with the reading of a device whose humidity is under the threshold.

Environment: TOPIC_ARN. Whatever fails is raised, so that Lambda tries again and then keeps the event in the queue of
what could not be delivered.
"""

import os
from typing import Any

import boto3

SUBJECT = "Attention:Humidity Under Threshold"
MAX_ATTRIBUTE = 256  # characters of an attribute; names of devices have 128 at most

sns = boto3.client("sns")


def handle(event: dict[str, Any], _context: object) -> None:
    """`humidity` is a text with a number, reported as it was sent, or a number, which Lambda's runtime has parsed as a
    float of some 17 digits. KeyError when a field is missing."""
    device, value = event["name"], event["humidity"]
    sns.publish(
        TopicArn=os.environ["TOPIC_ARN"],
        Subject=SUBJECT,
        Message=f"Humidity {value} under threshold for device name {device}",
        MessageAttributes=attributes(device=device, value=value, time=event.get("timeStampEpoch")),
    )


def attributes(**values: object) -> dict[str, Any]:
    """The alert for programs: texts of 1..MAX_ATTRIBUTE characters. Other values are left out, so that an unusual value
    does not prevent the alert."""
    texts = {name: str(value) for name, value in values.items() if value is not None}
    return {
        name: {"DataType": "String", "StringValue": text}
        for name, text in texts.items()
        if 0 < len(text) <= MAX_ATTRIBUTE and text.isprintable()
    }
