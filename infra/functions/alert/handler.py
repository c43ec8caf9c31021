"""Called by the IoT rule with the reading of a device whose humidity is under the threshold.

Environment: TOPIC_ARN. Whatever fails is raised, so that Lambda tries again and then keeps the event in the queue of
what could not be delivered.
"""

import os
from typing import Any

import boto3

SUBJECT = "Attention:Humidity Under Threshold"

sns = boto3.client("sns")


def handle(event: dict[str, Any], _context: object) -> None:
    """`humidity` is a text with a number, told as it was sent, or a number, which Lambda's runtime has made a float of
    some 17 digits. KeyError when a field is missing."""
    message = f"Humidity {event['humidity']} under threshold for device name {event['name']}"
    sns.publish(TopicArn=os.environ["TOPIC_ARN"], Subject=SUBJECT, Message=message)
