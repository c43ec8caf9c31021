"""The ways in that no role leads through: anonymous, unencrypted, over MQTT, through an IoT rule."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.component.strict import Strict, records
from tests.component.things import Device, certificate, connected

HUMID = b'{"name": "soil", "humidity": 50, "timeStampEpoch": 1767268800000}'


def eventually(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.05)
    return found


# ---- the bucket ----------------------------------------


def s3(strict: Strict, role: str, endpoint: str) -> Any:
    """A client of the bucket through one of the emulator's two doors."""
    if role == "anonymous":
        unsigned = Config(signature_version=UNSIGNED)
        where: Any = {"region_name": strict.emulator.region, "verify": str(strict.emulator.ca_file)}
        return boto3.client("s3", endpoint_url=endpoint, config=unsigned, **where)
    keys = strict.task_keys("TaskDefinitionArn") if role == "consumer" else ("test", "test", None)
    return strict.emulator.session(keys).client("s3", endpoint_url=endpoint)


@pytest.mark.parametrize("operation", ["get_object", "list_objects_v2"])
@pytest.mark.parametrize("role", ["consumer", "account"])
def test_the_bucket_answers_over_tls_only(strict: Strict, role: str, operation: str) -> None:
    request = {"Bucket": strict.names["ArchiveBucket"]} | ({"Key": "readings/x"} if operation == "get_object" else {})
    getattr(s3(strict, role, strict.emulator.endpoint), operation)(**request)
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(s3(strict, role, strict.emulator.plain_endpoint), operation)(**request)


def test_other_buckets_answer_without_tls(strict: Strict) -> None:
    """So it is the bucket's own policy that refuses."""
    s3(strict, "account", strict.emulator.plain_endpoint).list_objects_v2(Bucket="other")


@pytest.mark.parametrize("operation", ["get_object", "list_objects_v2", "put_object"])
def test_the_bucket_is_closed_to_those_without_credentials(strict: Strict, operation: str) -> None:
    request: dict[str, Any] = {"Bucket": strict.names["ArchiveBucket"]}
    request |= {} if operation == "list_objects_v2" else {"Key": "readings/x"}
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(s3(strict, "anonymous", strict.emulator.endpoint), operation)(**request)


def test_a_bucket_that_is_public_answers_those_without_credentials(strict: Strict) -> None:
    """So a test that is refused above was refused for a reason."""
    account, name = strict.client("s3"), "public"
    place: Any = {"LocationConstraint": strict.emulator.region}
    account.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    account.delete_public_access_block(Bucket=name)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    account.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    account.put_object(Bucket=name, Key="x", Body=b"x")
    assert s3(strict, "anonymous", strict.emulator.endpoint).get_object(Bucket=name, Key="x")["Body"].read() == b"x"


def test_the_bucket_cannot_be_made_public(strict: Strict) -> None:
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    with pytest.raises(ClientError):
        strict.client("s3").put_bucket_policy(
            Bucket=strict.names["ArchiveBucket"], Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        )


def test_requests_without_a_signature_are_refused_everywhere_else(strict: Strict) -> None:
    request = urllib.request.Request(  # noqa: S310 - own address
        strict.emulator.plain_endpoint,
        data=json.dumps({"TableName": strict.names["SensorTable"]}).encode(),
        headers={"X-Amz-Target": "DynamoDB_20120810.Scan", "Content-Type": "application/x-amz-json-1.0"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    with refused.value as answer:
        assert answer.code in (400, 403)
        assert b"MissingAuthenticationToken" in answer.read()


# ---- devices ----------------------------------------


@pytest.fixture
def ca(strict: Strict, tmp_path: Path) -> Path:
    path = tmp_path / "iot.pem"
    path.write_text(strict.emulator.ca())
    return path


@pytest.fixture
def name() -> str:
    return f"soil-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def device(strict: Strict, ca: Path, name: str) -> Iterator[Device]:
    with connected(strict.deployed, ca, certificate(strict.deployed, name), name) as device:
        yield device


def test_a_device_publishes_under_its_own_name_only(strict: Strict, device: Device, name: str) -> None:
    device.publish(name, HUMID)
    eventually(lambda: records(strict, strict.names["StreamName"], name), "record")
    with pytest.raises(PermissionError, match="NOT_AUTHORIZED"):
        device.publish(f"{name}-other", HUMID)
    assert not records(strict, strict.names["StreamName"], f"{name}-other")


@pytest.mark.parametrize("topic", ["device/+/devicePayload", "device/{name}/devicePayload", "#"])
def test_a_device_hears_nothing(device: Device, name: str, topic: str) -> None:
    device.publish(name, HUMID)
    with pytest.raises(PermissionError, match="NOT_AUTHORIZED"):
        device.subscribe(topic.replace("{name}", name))


def test_a_certificate_of_the_command_watch_hears_devices(strict: Strict, ca: Path, name: str) -> None:
    with connected(strict.deployed, ca, certificate(strict.deployed, name, "WatchPolicy"), name) as watching:
        for topic in ("device/#", "device/+/devicePayload"):
            watching.subscribe(topic)


@pytest.mark.parametrize("topic", ["#", "other/#", "$aws/things/+/shadow/update"])
def test_a_certificate_of_the_command_watch_hears_nothing_else(strict: Strict, ca: Path, name: str, topic: str) -> None:
    pem = certificate(strict.deployed, name, "WatchPolicy")
    refused = pytest.raises(PermissionError, match="NOT_AUTHORIZED")
    with connected(strict.deployed, ca, pem, name) as watching, refused:
        watching.subscribe(topic)


def test_a_certificate_of_the_command_watch_publishes_nothing(strict: Strict, ca: Path, name: str) -> None:
    pem = certificate(strict.deployed, name, "WatchPolicy")
    refused = pytest.raises(PermissionError, match="NOT_AUTHORIZED")
    with connected(strict.deployed, ca, pem, name) as watching, refused:
        watching.publish(name, HUMID)


def test_a_device_cannot_act_as_another(strict: Strict, ca: Path, name: str) -> None:
    pem = certificate(strict.deployed, name)
    with connected(strict.deployed, ca, pem, name) as device:
        device.publish(name, HUMID)
    with pytest.raises(PermissionError), connected(strict.deployed, ca, pem, f"{name}-other"):
        pass


def test_a_certificate_without_a_thing_is_refused(strict: Strict, ca: Path, name: str) -> None:
    iot = strict.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=strict.names["DevicePolicy"], target=made["certificateArn"])
    pem = {"certificate": made["certificatePem"], "key": made["keyPair"]["PrivateKey"]}
    with pytest.raises(PermissionError), connected(strict.deployed, ca, pem, name):
        pass


# ---- IoT rules ----------------------------------------


def rule_role(strict: Strict) -> str:
    rules = strict.client("iot").list_topic_rules()["rules"]
    name = next(rule["ruleName"] for rule in rules if "ReadingsRule" in rule["ruleName"])
    action = strict.client("iot").get_topic_rule(ruleName=name)["rule"]["actions"][0]["kinesis"]
    assert action["streamName"] == strict.names["StreamName"]
    return str(action["roleArn"])


def said_by(device: str) -> str:
    return f"SELECT * FROM 'device/{device}/devicePayload'"  # noqa: S608 - of IoT's own kind


def failures_of(strict: Strict, rule: str) -> list[Any]:
    """What this rule's error action has sent; other tests of the same deployment leave messages in the queue, too."""
    sqs, url = strict.client("sqs"), undelivered_url(strict)
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found if rule in message["Body"]]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"kinesis": {"streamName": "other", "partitionKey": "${topic(2)}"}}, "kinesis:PutRecord"),
        ({"sqs": {"queueUrl": "{OtherQueueUrl}", "useBase64": False}}, "sqs:SendMessage"),
    ],
    ids=["another stream", "another queue"],
)
def test_the_rules_role_delivers_nowhere_else(
    strict: Strict, device: Device, name: str, action: dict[str, Any], words: str
) -> None:
    role, rule = rule_role(strict), f"other_{uuid.uuid4().hex[:8]}"
    ((kind, spec),) = action.items()
    spec = {key: strict.names["OtherQueueUrl"] if value == "{OtherQueueUrl}" else value for key, value in spec.items()}
    failure = {"sqs": {"queueUrl": undelivered_url(strict), "roleArn": role}}
    payload = {"sql": said_by(name), "errorAction": failure}
    strict.client("iot").create_topic_rule(
        ruleName=rule, topicRulePayload=payload | {"actions": [{kind: spec | {"roleArn": role}}]}
    )
    try:
        device.publish(name, HUMID)
        # The error action is in the same role, and may.
        (reported,) = eventually(lambda: failures_of(strict, rule), "failure")
        assert "not authorized" in reported["failures"][0]["errorMessage"]
        assert words in reported["failures"][0]["errorMessage"]
        assert records(strict, strict.names["StreamName"], name), "the stack's own rule, with the same role"
        assert not records(strict, "other", name)
    finally:
        strict.client("iot").delete_topic_rule(ruleName=rule)


def test_a_function_answers_only_the_rule_that_it_is_made_for(strict: Strict, device: Device, name: str) -> None:
    rule = f"caller_{uuid.uuid4().hex[:8]}"
    arn = strict.client("lambda").get_function(FunctionName=strict.names["AlertFunction"])["Configuration"][
        "FunctionArn"
    ]
    failure = {"sqs": {"queueUrl": undelivered_url(strict), "roleArn": rule_role(strict)}}
    payload = {"sql": said_by(name), "errorAction": failure}
    strict.client("iot").create_topic_rule(
        ruleName=rule, topicRulePayload=payload | {"actions": [{"lambda": {"functionArn": arn}}]}
    )
    try:
        device.publish(name, HUMID)
        (reported,) = eventually(lambda: failures_of(strict, rule), "failure")
        assert "lambda:InvokeFunction" in reported["failures"][0]["errorMessage"]
    finally:
        strict.client("iot").delete_topic_rule(ruleName=rule)


def undelivered_url(strict: Strict) -> str:
    urls = strict.client("sqs").list_queues()["QueueUrls"]
    return next(str(url) for url in urls if "UndeliveredQueue" in url)
