"""Who may do what, on an emulator that enforces it: each refused call beside one that is allowed.

The calls name outputs of the stack in braces. The other half of the proof is tests/system, where each user works in
these roles.
"""

import base64
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from consumer.aws.credentials import Credentials
from consumer.aws.dynamodb import Operation
from consumer.payload.reading import Reading
from consumer.sinks.rows import body, put_request, unprocessed
from producer.aws.errors import UserError
from producer.aws.query_api import QueryApi
from producer.aws.session import opened
from producer.cli import main
from tests.component.strict import Strict, records

REFUSED = r"AccessDenied|not authorized|AuthorizationError|ForbiddenException"


@dataclass(frozen=True)
class Case:
    """What a role wants. `refused` are the changes to the `request` that make it forbidden, or another operation."""

    title: str
    role: str
    call: str  # service.operation
    request: dict[str, Any]
    refused: dict[str, Any] | None = None
    instead: str | None = None

    def __str__(self) -> str:
        return f"{self.role} {self.title}"


KEY = {"SensorId": {"S": "soil"}, "Timestamp": {"S": "2026-01-01T00:00:00.000Z"}}
LEASE = {"Key": {"leaseKey": {"S": "shardId-000000000000"}}}
METRIC = {"MetricData": [{"MetricName": "RowsWritten", "Value": 1.0}]}
ROW = {"{SensorTable}": [{"PutRequest": {"Item": KEY}}]}
OTHER_ROW = {"other": [{"PutRequest": {"Item": KEY}}]}
RECORD = {"Data": b"{}", "PartitionKey": "soil"}
PATH = {"Path": "/sensorstream/strict/"}
RANGE = {
    "KeyConditionExpression": "SensorId = :id",
    "ExpressionAttributeValues": {":id": {"S": "soil"}},
}
LISTED = {
    "KeyConditionExpression": "#bucket = :bucket",
    "ExpressionAttributeNames": {"#bucket": "Bucket"},
    "ExpressionAttributeValues": {":bucket": {"N": "0"}},
}
DEVICES = {"TableName": "{DevicesTable}"}
DEVICE = KEY | {"Bucket": {"N": "0"}, "Seen": {"S": "2026-01-01T00:00:00.000Z"}}
EPISODE = {"Part": {"S": "none#00"}, "Id": {"S": "soil"}}
EPISODES = {"TableName": "{AlertTable}"}
PART = {"KeyConditionExpression": "Part = :part", "ExpressionAttributeValues": {":part": {"S": "history#00"}}}
PAGE = {
    "KeyConditionExpression": "Part = :part AND Id BETWEEN :after AND :before",
    "ExpressionAttributeValues": {":part": {"S": "history#15"}, ":after": {"S": "0"}, ":before": {"S": "~"}},
}
BUCKET, TABLE, STREAM = {"Bucket": "{ArchiveBucket}"}, {"TableName": "{SensorTable}"}, {"StreamName": "{StreamName}"}
QUEUES = "arn:aws:sqs:eu-central-1:000000000000"
ARCHIVED = BUCKET | {"Key": "readings/x"}

CASES = [
    # the client publishes and queries
    Case("publishes to another stream", "client", "kinesis.put_record", STREAM | RECORD, {"StreamName": "other"}),
    Case("reads the stream", "client", "kinesis.put_record", STREAM | RECORD,
         STREAM | {"ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}, "kinesis.get_shard_iterator"),
    Case("looks at another stream's shards", "client", "kinesis.list_shards", STREAM, {"StreamName": "other"}),
    Case("calls another function", "client", "lambda.invoke", {"FunctionName": "{ApiFunction}", "Payload": b"{}"},
         {"FunctionName": "{AlertFunction}"}),
    Case("reads all parameters", "client", "ssm.get_parameters_by_path", PATH, {"Path": "/"}),
    Case("reads another deployment's names", "client", "ssm.get_parameters_by_path", PATH,
         {"Path": "/sensorstream/other/"}),
    Case("reads the table", "client", "ssm.get_parameters_by_path", PATH, TABLE, "dynamodb.scan"),
    Case("reads the archive", "client", "ssm.get_parameters_by_path", PATH, ARCHIVED, "s3.get_object"),
    Case("lists the archive", "client", "ssm.get_parameters_by_path", PATH, BUCKET, "s3.list_objects_v2"),
    Case("sees devices", "client", "ssm.get_parameters_by_path", PATH, {}, "iot.list_things"),
    Case("publishes an alert", "client", "ssm.get_parameters_by_path", PATH,
         {"TopicArn": "{AlertTopicArn}", "Message": "x"}, "sns.publish"),
    # the consumer's task
    Case("writes another table", "consumer", "dynamodb.batch_write_item", {"RequestItems": ROW},
         {"RequestItems": OTHER_ROW}),
    Case("reads the list of devices", "consumer", "dynamodb.batch_write_item",
         {"RequestItems": {"{DevicesTable}": [{"PutRequest": {"Item": DEVICE}}]}}, DEVICES, "dynamodb.scan"),
    Case("reads rollups", "consumer", "dynamodb.put_item",
         {"TableName": "{RollupTable}", "Item": {"SensorId": {"S": "x"}, "Window": {"S": "x"}}},
         {"TableName": "{RollupTable}"}, "dynamodb.scan"),
    Case("reads rows", "consumer", "dynamodb.describe_table", TABLE, TABLE, "dynamodb.scan"),
    Case("deletes a row", "consumer", "dynamodb.describe_table", TABLE, TABLE | {"Key": KEY}, "dynamodb.delete_item"),
    Case("writes another prefix", "consumer", "s3.put_object", ARCHIVED | {"Body": b"y"}, {"Key": "elsewhere/x"}),
    Case("writes another bucket", "consumer", "s3.put_object", ARCHIVED | {"Body": b"y"}, {"Bucket": "other"}),
    Case("reads another prefix", "consumer", "s3.get_object", ARCHIVED, {"Key": "redriven/x"}),
    Case("deletes an object", "consumer", "s3.get_object", ARCHIVED, ARCHIVED, "s3.delete_object"),
    Case("changes its own lease table's shape", "consumer", "dynamodb.describe_table",
         {"TableName": "{ApplicationName}"}, {"TableName": "{ApplicationName}"}, "dynamodb.delete_table"),
    Case("deletes the table of readings", "consumer", "dynamodb.describe_table", TABLE, TABLE, "dynamodb.delete_table"),
    Case("makes a table", "consumer", "dynamodb.describe_table", TABLE,
         {"TableName": "new", "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
          "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"},
         "dynamodb.create_table"),
    Case("reads another's leases", "consumer", "dynamodb.get_item", {"TableName": "{ApplicationName}"} | LEASE,
         {"TableName": "other-consumer"}),
    Case("reads another stream", "consumer", "kinesis.list_shards", STREAM, {"StreamName": "other"}),
    Case("publishes to its own stream", "consumer", "kinesis.list_shards", STREAM, STREAM | RECORD,
         "kinesis.put_record"),
    Case("subscribes as a consumer of another stream", "consumer", "kinesis.describe_stream_consumer",
         {"ConsumerARN": "{StreamConsumerArn}"}, {"ConsumerARN": "{StreamArn}/consumer/other:1"}),
    Case("puts metrics into another namespace", "consumer", "cloudwatch.put_metric_data",
         METRIC | {"Namespace": "Sensor"}, {"Namespace": "Other"}),
    Case("calls the alert function, although the rule does", "consumer", "kinesis.list_shards", STREAM,
         {"FunctionName": "{AlertFunction}", "InvocationType": "Event", "Payload": b"{}"}, "lambda.invoke"),
    Case("reads names", "consumer", "kinesis.list_shards", STREAM, PATH, "ssm.get_parameters_by_path"),
    # the functions
    Case("publishes to another topic", "alert", "sns.publish", {"TopicArn": "{AlertTopicArn}", "Message": "x"},
         {"TopicArn": "{OtherTopicArn}"}),
    Case("reads the table", "alert", "sns.publish", {"TopicArn": "{AlertTopicArn}", "Message": "x"}, TABLE,
         "dynamodb.scan"),
    Case("sends to another queue", "alert", "sns.publish", {"TopicArn": "{AlertTopicArn}", "Message": "x"},
         {"QueueUrl": "{OtherQueueUrl}", "MessageBody": "x"}, "sqs.send_message"),
    Case("queries another table", "alert", "dynamodb.query", EPISODES | PART, {"TableName": "other"}),
    Case("queries the lease table", "alert", "dynamodb.query", TABLE | RANGE, {"TableName": "strict-consumer"}),
    Case("writes the list of devices", "alert", "dynamodb.query", DEVICES | LISTED, DEVICES | {"Item": DEVICE},
         "dynamodb.put_item"),
    Case("writes the table", "alert", "dynamodb.put_item", EPISODES | {"Item": EPISODE}, TABLE | {"Item": KEY}),
    Case("writes the table in a transaction", "alert", "dynamodb.transact_write_items",
         {"TransactItems": [{"Put": EPISODES | {"Item": EPISODE}}]},
         {"TransactItems": [{"Put": TABLE | {"Item": KEY}}]}),
    Case("gets a row of the table", "alert", "dynamodb.get_item", EPISODES | {"Key": EPISODE}, TABLE | {"Key": KEY}),
    Case("stops its schedule", "alert", "dynamodb.query", EPISODES | PART, {"Name": "{AlertSchedule}"},
         "events.disable_rule"),
    Case("deletes the table of alerts", "alert", "dynamodb.put_item", EPISODES | {"Item": EPISODE}, EPISODES,
         "dynamodb.delete_table"),
    Case("queries another table", "api", "dynamodb.query", TABLE | RANGE, {"TableName": "other"}),
    Case("writes the table", "api", "dynamodb.query", TABLE | RANGE, TABLE | {"Item": KEY}, "dynamodb.put_item"),
    Case("writes the list of devices", "api", "dynamodb.query", DEVICES | LISTED, DEVICES | {"Item": DEVICE},
         "dynamodb.put_item"),
    Case("reads the whole list of devices", "api", "dynamodb.query", DEVICES | LISTED, DEVICES, "dynamodb.scan"),
    Case("reads the whole table", "api", "dynamodb.query", TABLE | RANGE, TABLE, "dynamodb.scan"),
    Case("sees devices", "endpoint", "iot.describe_endpoint", {}, {}, "iot.list_things"),
    # the operator
    *(Case(f"reads what else is in the table of alerts: {part}", "operator", "dynamodb.query", EPISODES | PAGE,
           PART | {"ExpressionAttributeValues": {":part": {"S": part}}})
      for part in ("state#00", "outbox#15", "minute#00", "history")),
    Case("reads a notice by its key", "operator", "dynamodb.query", EPISODES | PART,
         EPISODES | {"Key": {"Part": {"S": "history#00"}, "Id": {"S": "x"}}}, "dynamodb.get_item"),
    Case("reads the whole table of alerts", "operator", "dynamodb.query", EPISODES | PART, EPISODES, "dynamodb.scan"),
    Case("reads the history of alerts", "client", "ssm.get_parameters_by_path", PATH, EPISODES | PART,
         "dynamodb.query"),
    Case("changes the history of alerts", "operator", "dynamodb.query", EPISODES | PART, EPISODES | {"Item": EPISODE},
         "dynamodb.put_item"),
    Case("deletes the archive", "operator", "s3.get_object", ARCHIVED, ARCHIVED, "s3.delete_object"),
    Case("changes the archive", "operator", "s3.put_object", BUCKET | {"Key": "redriven/x", "Body": b"y"},
         {"Key": "readings/x"}),
    Case("overwrites what was compacted", "operator", "s3.put_object",
         BUCKET | {"Key": "athena-results/x", "Body": b"y"}, {"Key": "curated/x"}),
    Case("queries in another workgroup", "operator", "athena.start_query_execution",
         {"QueryString": "SELECT 1", "WorkGroup": "strict"}, {"WorkGroup": "primary"}),
    Case("takes the limit off queries", "operator", "athena.get_work_group", {"WorkGroup": "strict"},
         {"WorkGroup": "strict", "State": "ENABLED"}, "athena.update_work_group"),
    Case("sees another database's tables", "operator", "glue.get_tables", {"DatabaseName": "strict"},
         {"DatabaseName": "default"}),
    Case("deletes a table of the archive", "operator", "glue.get_table", {"DatabaseName": "strict", "Name": "raw"},
         {"DatabaseName": "strict", "Name": "raw"}, "glue.delete_table"),
    Case("queries the archive", "client", "ssm.get_parameters_by_path", PATH,
         {"QueryString": "SELECT 1", "WorkGroup": "strict"}, "athena.start_query_execution"),
    Case("deletes the bucket", "operator", "s3.list_objects_v2", BUCKET, BUCKET, "s3.delete_bucket"),
    Case("reads another table", "operator", "dynamodb.scan", TABLE, {"TableName": "other"}),
    Case("reads a row of another table", "operator", "dynamodb.get_item", TABLE | {"Key": KEY}, {"TableName": "other"}),
    Case("deletes the table", "operator", "dynamodb.describe_table", TABLE, TABLE, "dynamodb.delete_table"),
    Case("moves a lease", "operator", "dynamodb.scan", {"TableName": "{ApplicationName}"},
         {"TableName": "{ApplicationName}"} | LEASE, "dynamodb.delete_item"),
    Case("invokes a function that is not this deployment's", "operator", "lambda.invoke",
         {"FunctionName": "{AlertFunction}", "InvocationType": "Event", "Payload": b'{"name":"a","humidity":1}'},
         {"FunctionName": "other"}),
    Case("sends into the queue of undelivered messages", "operator", "sqs.receive_message",
         {"QueueUrl": "{UndeliveredQueueUrl}"}, {"QueueUrl": "{UndeliveredQueueUrl}", "MessageBody": "x"},
         "sqs.send_message"),
    Case("empties the queue of undelivered messages", "operator", "sqs.get_queue_attributes",
         {"QueueUrl": "{UndeliveredQueueUrl}"}, {"QueueUrl": "{UndeliveredQueueUrl}"}, "sqs.purge_queue"),
    Case("reads another queue", "operator", "sqs.receive_message", {"QueueUrl": "{UndeliveredQueueUrl}"},
         {"QueueUrl": "{OtherQueueUrl}"}),
    Case("publishes as a device", "operator", "iot-data.publish",
         {"topic": "device/strict-probe/devicePayload", "qos": 1, "payload": b"x"},
         {"topic": "device/soilSensor1/devicePayload"}),
    Case("sees other topics' subscribers", "operator", "sns.list_subscriptions_by_topic",
         {"TopicArn": "{AlertTopicArn}"}, {"TopicArn": "{OtherTopicArn}"}),
    Case("subscribes to alerts", "operator", "sns.list_subscriptions_by_topic", {"TopicArn": "{AlertTopicArn}"},
         {"TopicArn": "{AlertTopicArn}", "Protocol": "email", "Endpoint": "a@example.com"}, "sns.subscribe"),
    Case("subscribes a queue that is not the console's", "operator", "sns.subscribe",
         {"TopicArn": "{AlertTopicArn}", "Protocol": "sqs", "Endpoint": f"{QUEUES}:strict-console-x"},
         {"Endpoint": f"{QUEUES}:other"}),
    Case("makes a queue that is not the console's", "operator", "sqs.create_queue",
         {"QueueName": "strict-console-x"}, {"QueueName": "other-console-x"}),
    Case("publishes an alert", "operator", "kinesis.put_record", STREAM | RECORD,
         {"TopicArn": "{AlertTopicArn}", "Message": "x"}, "sns.publish"),
    Case("gives itself rights", "operator", "kinesis.put_record", STREAM | RECORD,
         {"RoleName": "any", "PolicyName": "all", "PolicyDocument": "{}"}, "iam.put_role_policy"),
    # the simulator's task
    Case("makes a thing of another name", "simulator", "iot.create_thing", {"thingName": "strict-simulated-by-hand"},
         {"thingName": "soilSensor1"}),
    Case("publishes past IoT Core", "simulator", "ssm.get_parameters_by_path", PATH, STREAM | RECORD,
         "kinesis.put_record"),
    # compaction's task
    Case("deletes an archive object", "compaction", "s3.get_object", ARCHIVED, ARCHIVED, "s3.delete_object"),
    Case("deletes a compacted hour", "compaction", "s3.get_object", BUCKET | {"Key": "curated/x"},
         BUCKET | {"Key": "curated/x"}, "s3.delete_object"),
    Case("writes an archive object", "compaction", "s3.put_object", BUCKET | {"Key": "curated/x", "Body": b"y"},
         {"Key": "readings/x"}),
    Case("reads dead letters", "compaction", "s3.get_object", ARCHIVED, {"Key": "dead-letters/x"}),
    Case("reads the table", "compaction", "s3.list_objects_v2", BUCKET, TABLE, "dynamodb.scan"),
    Case("reads the stream", "compaction", "s3.list_objects_v2", BUCKET, STREAM, "kinesis.list_shards"),
    Case("sends other metrics", "compaction", "cloudwatch.put_metric_data", {"Namespace": "Sensor"} | METRIC,
         {"Namespace": "Other"}),
    Case("reads another deployment's names", "compaction", "ssm.get_parameters_by_path", PATH,
         {"Path": "/sensorstream/other/"}),
    # the deployer
    Case("sees other stacks", "deployer", "cloudformation.describe_stacks", {"StackName": "strict"},
         {"StackName": "other"}),
    Case("reads the table", "deployer", "cloudformation.describe_stacks", {"StackName": "strict"}, TABLE,
         "dynamodb.scan"),
    Case("reads the archive", "deployer", "cloudformation.describe_stacks", {"StackName": "strict"}, ARCHIVED,
         "s3.get_object"),
    Case("makes a role", "deployer", "cloudformation.describe_stacks", {"StackName": "strict"},
         {"RoleName": "strict-any", "AssumeRolePolicyDocument": "{}"}, "iam.create_role"),
    Case("takes on the task's role", "deployer", "sts.get_caller_identity", {},
         {"RoleArn": "{TaskRoleArn}", "RoleSessionName": "test"}, "sts.assume_role"),
]  # fmt: skip


def filled(value: Any, names: dict[str, str]) -> Any:
    """With the outputs for the names in braces; whatever else has braces stays."""
    if isinstance(value, dict):
        return {filled(key, names): filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        for name, known in names.items():
            value = value.replace("{" + name + "}", known)
    return value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_role_may_do_its_work_and_not(strict: Strict, case: Case) -> None:
    service, operation = case.call.split(".")
    allowed = filled(case.request, strict.names)
    strict.call(case.role, service, operation, **allowed)
    changed = filled(case.refused or {}, strict.names)
    if case.instead:
        service, operation = case.instead.split(".")
    else:
        changed = allowed | changed
    with pytest.raises((ClientError, PermissionError), match=REFUSED):
        strict.call(case.role, service, operation, **changed)


async def test_the_request_that_writes_rows_is_authorized_as_the_sdks_are(
    strict: Strict, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for name, value in zip(names, strict.task_keys("TaskDefinitionArn"), strict=True):
        monkeypatch.setenv(name, str(value))
    emulator, table = strict.emulator, strict.names["SensorTable"]
    credentials = await Credentials.find(get_session(), emulator.region)
    client = Operation("BatchWriteItem", emulator.endpoint, emulator.region, credentials, str(emulator.ca_file))
    row = put_request(Reading('so"il é', 1_767_268_800_000, Decimal("1.5"), {"\n": Decimal(2)}), None)
    sent = {table: [row]}
    assert unprocessed(await client.send(body(sent)), sent) == {}
    with pytest.raises(ClientError, match=REFUSED):
        await client.send(body({"other": [row]}))
    await client.close()
    key = {"SensorId": {"S": 'so"il é'}, "Timestamp": {"S": "2026-01-01T12:00:00.000Z"}}
    item = strict.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    assert item == key | {"Value": {"N": "1.5"}, "Measures": {"M": {"\n": {"N": "2"}}}}


@pytest.mark.parametrize("role", ["client", "operator"])
def test_the_query_api_is_for_client_and_operator(strict: Strict, role: str) -> None:
    with mock.patch.dict(os.environ, strict.variables(role)):
        answer = QueryApi(opened(), strict.names["QueryUrl"]).get("/readings", device="soil")
    assert answer["device"] == "soil"


@pytest.mark.parametrize("person", ["deployer", "client of another api"])
def test_the_query_api_is_refused_to_others(strict: Strict, person: str) -> None:
    url = strict.names["QueryUrl"]
    if person != "deployer":
        made = strict.client("apigatewayv2").create_api(Name="other", ProtocolType="HTTP", Target="unused")
        url = url.replace(strict.names["QueryApi"], made["ApiId"])
    role = person.partition(" ")[0]
    with mock.patch.dict(os.environ, strict.variables(role)), pytest.raises(UserError, match=r"403|not authorized"):
        QueryApi(opened(), url).get("/devices")


def test_the_query_api_calls_its_function_only_as_long_as_that_lets_it(strict: Strict) -> None:
    functions, name = strict.client("lambda"), strict.names["ApiFunction"]
    [statement] = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    asked = {
        "StatementId": statement["Sid"],
        "Action": statement["Action"],
        "Principal": statement["Principal"]["Service"],
        "SourceAccount": statement["Condition"]["StringEquals"]["AWS:SourceAccount"],
        "SourceArn": statement["Condition"]["ArnLike"]["AWS:SourceArn"],
    }
    with mock.patch.dict(os.environ, strict.emulator.variables()):
        api = QueryApi(opened(), strict.names["QueryUrl"])
        with pytest.raises(UserError, match="500"):
            api.get("/devices")
        functions.add_permission(FunctionName=name, **asked)
        assert "devices" in api.get("/devices")


def test_the_functions_do_their_work(strict: Strict) -> None:
    for function, request in (
        ("AlertFunction", {"name": "soil", "humidity": 20}),
        ("AlertFunction", {"sensorstreamMinute": True}),
        ("ApiFunction", {"operation": "query", "sensorid": "soil"}),
    ):
        answer = strict.client("lambda").invoke(
            FunctionName=strict.names[function], Payload=json.dumps(request).encode()
        )
        said = answer["Payload"].read()
        assert "FunctionError" not in answer, said


def test_the_operator_redrives_what_was_not_delivered(strict: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(
        {
            "ruleName": "any",
            "topic": "device/redelivered/devicePayload",
            "base64OriginalPayload": base64.b64encode(b'{"name":"redelivered","humidity":7}').decode(),
            "failures": [{"failedAction": "KinesisAction"}, {"failedAction": "LambdaAction"}],
        }
    )
    sqs, queue = strict.client("sqs"), strict.names["UndeliveredQueueUrl"]
    sqs.purge_queue(QueueUrl=queue)
    sqs.send_message(QueueUrl=queue, MessageBody="malformed")
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    with mock.patch.dict(os.environ, strict.variables("operator")):
        assert main(["redrive", "--undelivered", "--send", "--json", "--stack", "strict"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["to_stream"], answer["to_function"], answer["stopped"]) == (1, 1, None)
    [record] = records(strict, strict.names["StreamName"], "redelivered")
    assert record["Data"] == b'{"name":"redelivered","humidity":7}'
    sqs.purge_queue(QueueUrl=queue)


def test_people_assume_their_roles_and_not_those_of_services(strict: Strict) -> None:
    sts, roles = strict.client("sts"), strict.client("iam").list_roles()["Roles"]
    ours = {role["RoleName"].split("-")[-2]: role["Arn"] for role in roles if role["RoleName"].startswith("strict-")}
    people = {"ClientRole", "OperatorRole", "DeployerRole"}
    assert people < ours.keys()
    for name, arn in ours.items():
        if name in people:
            sts.assume_role(RoleArn=arn, RoleSessionName="test")
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                sts.assume_role(RoleArn=arn, RoleSessionName="test")


def test_the_deployer_makes_stacks_of_its_prefix_in_the_service_role_only(strict: Strict) -> None:
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    request = {
        "TemplateBody": json.dumps(topic),
        "RoleARN": strict.names["ServiceRoleArn"],
        "StackName": "strict-topic",
    }
    deployer = strict.client("cloudformation", "deployer")
    for refused in (
        {"RoleARN": strict.names["OperatorRoleArn"]},
        {"RoleARN": None},
        {"StackName": "other-topic"},
    ):
        asked = {key: value for key, value in {**request, **refused}.items() if value}
        with pytest.raises(ClientError, match="AccessDenied"):
            deployer.create_stack(**asked)
    deployer.create_stack(**request)
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer.delete_stack(StackName="strict-topic")
    deployer.get_waiter("stack_create_complete").wait(StackName="strict-topic", WaiterConfig={"Delay": 1})
    deployer.delete_stack(StackName="strict-topic", RoleARN=strict.names["ServiceRoleArn"])
