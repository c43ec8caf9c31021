"""Alerts at a real subscriber: the SQS queue `<stack>-audit`, subscribed to the stack's alert topic.

What arrives is appended to a file beside the ledger (`<ledger>.alerts`, one `{"id","device","humidity"}` a
line) and only then taken from the queue, so that no audit loses what an earlier one has read.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from producer.aws.errors import AWS_ERRORS, explain
from producer.aws.stack import Stack

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger(__name__)

WAIT_SECONDS = 2  # of one long poll


def queue_name(stack: str) -> str:
    return f"{stack}-audit"


def console_queues(stack: str) -> str:
    """How the names of the console's queues begin."""
    return f"{stack}-console-"


def alerts_file(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".alerts")


def parse(envelope: str) -> tuple[str, str, str] | None:
    """(message id, device, humidity as written) of an SNS notification, by the attributes that the alert function gives
    it; None when it is not an alert of this service."""
    document = json.loads(envelope)
    given = {name: each["Value"] for name, each in document.get("MessageAttributes", {}).items()}
    return (document["MessageId"], given["device"], given["value"]) if {"device", "value"} <= given.keys() else None


def received(file: Path) -> Iterator[tuple[str, str]]:
    """(device, humidity) of each alert in the file, a message delivered twice only once."""
    seen: set[str] = set()
    if not file.exists():
        return
    with file.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # torn by a crash; it is still in the queue
            alert = json.loads(line)
            if alert["id"] not in seen:
                seen.add(alert["id"])
                yield alert["device"], alert["humidity"]


def subscribed(stack: Stack, name: str, attributes: Mapping[str, str]) -> str:
    """Makes a queue with these attributes, subscribes it to the stack's alert topic, and returns its URL. Doing it
    again changes nothing."""
    sqs = stack.session.client("sqs")
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": stack.alert_topic}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy), **attributes})
    stack.session.client("sns").subscribe(TopicArn=stack.alert_topic, Protocol="sqs", Endpoint=arn)
    return url


class Subscriber:
    """The queue, and a thread that empties it into the file."""

    def __init__(self, sqs: "SQSClient", url: str, file: Path) -> None:
        self._sqs = sqs
        self._url = url
        self._file = file
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.count = 0  # messages received since creation

    @classmethod
    def subscribe(cls, stack: Stack, file: Path) -> Self:
        """Makes the queue and its subscription; both stay until `unsubscribe`. Doing it again changes
        nothing."""
        url = subscribed(stack, queue_name(stack.name), {})
        return cls(stack.session.client("sqs"), url, file)

    @classmethod
    def existing(cls, stack: Stack, file: Path) -> Self | None:
        """The queue of an earlier `subscribe`, or None."""
        sqs = stack.session.client("sqs")
        try:
            return cls(sqs, sqs.get_queue_url(QueueName=queue_name(stack.name))["QueueUrl"], file)
        except sqs.exceptions.QueueDoesNotExist:
            return None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the poll it is in (up to `WAIT_SECONDS`)."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def drain(self) -> None:
        """Receives until the queue gives nothing for one poll."""
        while self._receive():
            pass

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._receive()
            except AWS_ERRORS as error:  # what was not received stays in the queue
                log.info("alerts: %s", explain(error))
                self._stop.wait(1)

    def _receive(self) -> int:
        answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
        messages = answer.get("Messages", [])
        if messages:
            self._keep(messages)
        return len(messages)

    def _keep(self, messages: list["MessageTypeDef"]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            for message in messages:
                if alert := parse(message["Body"]):
                    file.write(json.dumps(dict(zip(("id", "device", "humidity"), alert, strict=True))) + "\n")
                    self.count += 1
        entries: Any = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)


def unsubscribe(stack: Stack) -> None:
    """Takes the subscription and the queue away; nothing happens when there are none."""
    sqs, sns = stack.session.client("sqs"), stack.session.client("sns")
    try:
        url = sqs.get_queue_url(QueueName=queue_name(stack.name))["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=stack.alert_topic):
        for subscription in page["Subscriptions"]:
            if subscription.get("Endpoint") == arn:
                sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)
