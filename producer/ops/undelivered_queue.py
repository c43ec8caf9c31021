"""The queue of undelivered messages. The only file that reads and deletes there."""

import email.utils
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3

from producer.aws.errors import UserError
from producer.fleet.topics import Pattern
from producer.ops.undelivered import Task, task_of

HIDDEN_SECONDS = 600  # that no one else sees a message which this run holds
BATCH = 10  # of one request of SQS


class Held(NamedTuple):
    """A message that this run has received; `sent_ms` is when it came into the queue."""

    id: str
    handle: str
    sent_ms: int
    task: Task


class Queue:
    """The queue of one stack. What is received is hidden from others until it is deleted or released."""

    def __init__(self, session: boto3.Session, name: str, topics: list[Pattern]) -> None:
        """`topics` are the devices'. Raises UserError when there is no such queue."""
        self.name = name
        self._topics = topics
        self._sqs = session.client("sqs")
        try:
            self._url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except self._sqs.exceptions.QueueDoesNotExist:
            raise UserError(f"there is no queue {name}; deploy the stack again, or name another with --stack") from None
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"])
        self.waiting = int(answer["Attributes"]["ApproximateNumberOfMessages"])
        date = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        self.opened_ms = int(date.timestamp() * 1000) + 1000  # by the service's clock, which counts seconds

    def receive(self, most: int = BATCH) -> list[Held]:
        """Up to `most` messages, BATCH at once; none when no server of SQS has any within a second."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(most, BATCH),
            WaitTimeSeconds=1,  # asks all servers, where 0 asks some
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return [
            Held(
                m["MessageId"],
                m["ReceiptHandle"],
                int(m["Attributes"]["SentTimestamp"]),
                task_of(m["Body"], self._topics),
            )
            for m in answer.get("Messages", [])
        ]

    def delete(self, messages: list[Held]) -> int:
        """Returns how many could not be deleted."""
        failed = 0
        for batch in _batches(messages):
            entries: Any = [{"Id": str(i), "ReceiptHandle": held.handle} for i, held in enumerate(batch)]
            failed += len(self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries).get("Failed", []))
        return failed

    def release(self, messages: list[Held]) -> None:
        """Lets others see them at once; what cannot be released shows again after HIDDEN_SECONDS."""
        for batch in _batches(messages):
            entries: Any = [
                {"Id": str(i), "ReceiptHandle": held.handle, "VisibilityTimeout": 0} for i, held in enumerate(batch)
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


def _batches(messages: list[Held]) -> Iterator[list[Held]]:
    for start in range(0, len(messages), BATCH):
        yield messages[start : start + BATCH]
