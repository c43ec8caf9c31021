"""A deployment on an emulator that enforces roles and policies, and clients in each of its roles."""

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from infra.local.deployer import deploy_as_deployer
from infra.local.emulator import Emulator, Keys
from infra.local.identity import CREDENTIALS, PEOPLE
from tests.conftest import Deployed

NAME = "strict"
TASKS = {"consumer": "TaskDefinitionArn", "simulator": f"{NAME}-simulator", "compaction": f"{NAME}-compaction"}
POLICY = '{"rules":[{"name":"dry"},{"name":"falling","change":1},{"name":"silent","silent":2,"interval":15}]}'
SCHEDULE = "cron(20 * * * ? *)"
PARAMETERS = {
    "ShardCount": "1",
    "SimulatorDevices": "1",
    "FanOut": "true",
    "AlertPolicy": POLICY,
    "CompactionSchedule": SCHEDULE,
}
ANYTHING = b"""
import boto3

def handle(event, context):
    client = boto3.client(event["service"])
    getattr(client, event["operation"])(**event["request"])
"""


class Strict:
    """`names` are the outputs; `other` are resources of the same account that are none of the deployment's."""

    def __init__(self, emulator: Emulator, names: dict[str, str]) -> None:
        self.emulator = emulator
        self.names = names
        self._keys: dict[str, Keys] = {}

    def client(self, service: str, role: str = "account") -> Any:
        """In the role `client` or `operator`, of a task of TASKS, or of the account itself."""
        if role == "account":
            return self.emulator.session().client(service)
        if role not in self._keys:
            self._keys[role] = (
                self.emulator.role(self.names[PEOPLE[role]]) if role in PEOPLE else self.task_keys(TASKS[role])
            )
        return self.emulator.session(self._keys[role]).client(service)

    def variables(self, person: str) -> dict[str, str]:
        """Environment of a process in the role of a person."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        keys = self.emulator.role(self.names[PEOPLE[person]])
        return {**self.emulator.place(), **{name: key for name, key in zip(names, keys, strict=True) if key}}

    def task_keys(self, task: str) -> Keys:
        """As a container asks for them."""
        family = self.names.get(task, task).rpartition("/")[2].partition(":")[0]
        with urllib.request.urlopen(f"{self.emulator.plain_endpoint}{CREDENTIALS}{family}") as answer:  # noqa: S310
            found = json.load(answer)
        return found["AccessKeyId"], found["SecretAccessKey"], found["Token"]

    def call(self, role: str, service: str, operation: str, **request: Any) -> Any:
        """ClientError when the role may not. `alert`, `api` and `endpoint` are functions, which call from inside."""
        if role in ("alert", "api", "endpoint"):
            return self._from_inside(role, service, operation, request)
        return getattr(self.client(service, role), operation)(**request)

    def _from_inside(self, role: str, service: str, operation: str, request: dict[str, Any]) -> None:
        """A function with that role, which does anything; PermissionError when it may not."""
        functions = self.client("lambda")
        kind = next(
            found
            for found in functions.list_functions()["Functions"]
            if f"-{role.title()}Function-" in found["FunctionName"]
        )
        name = f"anything-as-{role}"
        if name not in [found["FunctionName"] for found in functions.list_functions()["Functions"]]:
            code = io.BytesIO()
            with zipfile.ZipFile(code, "w") as archive:
                archive.writestr("anything.py", ANYTHING)
            functions.create_function(
                FunctionName=name,
                Role=kind["Role"],
                Runtime="python3.13",
                Handler="anything.handle",
                Code={"ZipFile": code.getvalue()},
            )
        asked = {"service": service, "operation": operation, "request": request}
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(asked).encode())
        said = answer["Payload"].read().decode()  # always: an answer that is not read keeps its socket open
        if "FunctionError" in answer:
            raise PermissionError(said)

    @property
    def deployed(self) -> Deployed:
        """For tests/component/things.py."""
        return Deployed(NAME, self.names, self.emulator.session(), self.emulator, PARAMETERS, [])

    def fill(self) -> None:
        """What a refused call would find, and what is none of the deployment's: named `other` wherever possible."""
        bucket, s3 = self.names["ArchiveBucket"], self.client("s3")
        for key in ("readings/x", "dead-letters/x", "redriven/x", "elsewhere/x", "curated/x"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        place = cast(Any, {"LocationConstraint": self.emulator.region})
        s3.create_bucket(Bucket="other", CreateBucketConfiguration=place)
        self.client("kinesis").create_stream(StreamName="other", ShardCount=1)
        self.client("dynamodb").create_table(
            TableName="other",
            KeySchema=[{"AttributeName": "SensorId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "SensorId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.names["OtherTopicArn"] = self.client("sns").create_topic(Name="other")["TopicArn"]
        sqs = self.client("sqs")
        self.names["OtherQueueUrl"] = sqs.create_queue(QueueName="other")["QueueUrl"]
        self.names["UndeliveredQueueUrl"] = sqs.get_queue_url(QueueName=self.names["UndeliveredQueue"])["QueueUrl"]


def records(strict: Strict, stream: str, key: str) -> list[Any]:
    """What is in a stream under a partition key."""
    kinesis = strict.client("kinesis")
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        place = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**place)["ShardIterator"]
        found += kinesis.get_records(ShardIterator=iterator)["Records"]
    return [record for record in found if record["PartitionKey"] == key]


@contextmanager
def strict_stack(log: Path) -> Iterator[Strict]:
    with Emulator(log=log, enforce_iam=True) as emulator:
        names = deploy_as_deployer(emulator, NAME, PARAMETERS, lambda _: None)
        stack = Strict(emulator, names)
        stack.fill()
        yield stack
