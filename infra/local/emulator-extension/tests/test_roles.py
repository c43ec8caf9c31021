"""Roles: who may assume them, and the credentials that a task gets. TLS: what a policy sees of it."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Running, make_role, policy

LIST = {"Effect": "Allow", "Action": "kinesis:ListStreams", "Resource": "*"}
TASKS = "ecs-tasks.amazonaws.com"


def task(strict: Running, name: str, role: str) -> str:
    """A task definition in the role; the address of its credentials."""
    container = [{"name": "c", "image": "i", "memory": 128}]
    strict.client("ecs").register_task_definition(family=name, taskRoleArn=role, containerDefinitions=container)
    return f"{strict.plain}/v2/credentials/{name}"


def test_a_task_gets_credentials_of_its_role(strict: Running, name: str) -> None:
    role = make_role(strict, name, TASKS, LIST)
    with urllib.request.urlopen(task(strict, name, role)) as answer:  # noqa: S310 - own address
        given = json.load(answer)
    assert given["RoleArn"] == role
    keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
    kinesis = strict.client("kinesis", **keys, aws_session_token=given["Token"])
    kinesis.list_streams()
    with pytest.raises(ClientError, match="AccessDenied"):
        kinesis.create_stream(StreamName=name, ShardCount=1)


def test_a_role_queries_only_the_partitions_that_it_may(strict: Running, name: str) -> None:
    keys = (("Part", "HASH"), ("Id", "RANGE"))
    strict.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "open#*"}}
    allow = {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": "*", "Condition": condition}
    with urllib.request.urlopen(task(strict, name, make_role(strict, name, TASKS, allow))) as answer:  # noqa: S310 - own address
        given = json.load(answer)
    own = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
    table = strict.client("dynamodb", **own, aws_session_token=given["Token"])

    def query(condition: str, one: str, other: str) -> None:
        given = {text: {"S": value} for text, value in ((":1", one), (":2", other)) if text in condition}
        named = {"ExpressionAttributeNames": {"#p": "Part"}} if "#p" in condition else {}
        table.query(TableName=name, KeyConditionExpression=condition, ExpressionAttributeValues=given, **named)

    for asked in ("Part = :1", "#p=:1 AND Id < :2", "Id = :2 AND Part = :1"):
        query(asked, "open#1", "closed")
        with pytest.raises(ClientError, match="AccessDenied"):
            query(asked, "closed", "open#1")


def test_a_role_that_does_not_trust_tasks_gives_no_credentials_to_one(strict: Running, name: str) -> None:
    address = task(strict, name, make_role(strict, name, "lambda.amazonaws.com", LIST))
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(address)  # noqa: S310 - own address
    refused.value.close()


def test_the_account_cannot_assume_a_role_that_trusts_a_service(strict: Running, name: str) -> None:
    role = make_role(strict, name, TASKS, LIST)
    with pytest.raises(ClientError, match="AccessDenied"):
        strict.client("sts").assume_role(RoleArn=role, RoleSessionName="test")


@pytest.mark.parametrize("header", [{}, {"X-Forwarded-Proto": "https"}], ids=["plain", "claimed"])
def test_a_bucket_that_demands_tls_gets_it_from_the_connection_alone(
    strict: Running, name: str, header: dict[str, str]
) -> None:
    resource = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resource, "Condition": condition}
    s3 = strict.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_policy(Bucket=name, Policy=policy(deny))
    s3.put_object(Bucket=name, Key="x", Body=b"x")

    def claim(request: Any, **_: Any) -> None:
        request.headers.update(header)

    plain = strict.client("s3", endpoint_url=strict.plain)
    plain.meta.events.register("before-send.s3", claim)
    with pytest.raises(ClientError, match="AccessDenied"):
        plain.get_object(Bucket=name, Key="x")
