"""The template's roles, on an emulator that enforces them: enough for their work, and for nothing else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import deploy
from infra.local.emulator import Emulator

Names = dict[str, str]
Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Names]]:
    log = tmp_path_factory.mktemp("strict") / "emulator.log"
    with Emulator(log=log, enforce_iam=True) as emulator:
        yield emulator, deploy(emulator.session(), "strict", {"ShardCount": "1"}, lambda _: None, poll_seconds=0.1)


@pytest.fixture(scope="module")
def client_role(strict: tuple[Emulator, Names]) -> Clients:
    """Clients with the credentials of the client role."""
    emulator, names = strict
    sts = emulator.session().client("sts")
    role = sts.assume_role(RoleArn=names["ClientRoleArn"], RoleSessionName="test")["Credentials"]
    return lambda service: emulator.session().client(
        service,
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )


@pytest.mark.parametrize(
    ("function", "request_"),
    [
        ("AlertFunction", {"name": "soil", "humidity": 20}),
        ("ApiFunction", {"operation": "query", "sensorid": "soil"}),
    ],
)
def test_a_function_may_do_its_work(strict: tuple[Emulator, Names], function: str, request_: Any) -> None:
    emulator, names = strict
    answer = (
        emulator.session().client("lambda").invoke(FunctionName=names[function], Payload=json.dumps(request_).encode())
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_a_client_may_publish_and_query(strict: tuple[Emulator, Names], client_role: Clients) -> None:
    _, names = strict
    client_role("kinesis").put_record(StreamName=names["StreamName"], Data=b"{}", PartitionKey="soil")
    answer = client_role("lambda").invoke(FunctionName=names["ApiFunction"], Payload=b"{}")
    assert b"error" in answer["Payload"].read()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda client, names: client("kinesis").list_shards(StreamName=names["StreamName"]),
        lambda client, names: client("lambda").invoke(FunctionName=names["AlertFunction"], Payload=b"{}"),
        lambda client, names: client("s3").list_objects_v2(Bucket=names["ArchiveBucket"]),
        lambda client, names: client("dynamodb").scan(TableName=names["SensorTable"]),
        lambda client, names: client("sns").publish(TopicArn=names["AlertTopicArn"], Message="x"),
        lambda client, names: client("iot").list_things(),
        lambda client, names: client("ssm").get_parameters_by_path(Path="/"),
    ],
    ids=[
        "read the stream",
        "alert",
        "read the archive",
        "read the table",
        "publish to the topic",
        "see devices",
        "read all parameters",
    ],
)
def test_a_client_may_not(
    strict: tuple[Emulator, Names], client_role: Clients, attempt: Callable[[Clients, Names], object]
) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        attempt(client_role, strict[1])
