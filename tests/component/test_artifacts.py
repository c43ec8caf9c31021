"""The bucket of a deployment's artifacts, where S3 has not let go of its name since it was deleted."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from infra.deploy import artifacts
from infra.deploy.artifacts import Artifacts
from infra.deploy.cloudformation import DeployError
from infra.local.emulator import Emulator

ABORTED = (
    b"<Error><Code>OperationAborted</Code><Message>A conflicting conditional operation is in progress</Message></Error>"
)
TAKEN = b"<Error><Code>BucketAlreadyExists</Code><Message>of somebody else</Message></Error>"


class _Raw:
    """The body of an answer as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._body]


def refused(emulator: Emulator, name: str, answers: list[bytes]) -> Artifacts:
    """Artifacts whose first requests to make a bucket get these answers, by status 409; then the emulator's."""
    made = Artifacts(emulator.session(), name)

    def answer(request: Any, **_: Any) -> Any:
        return AWSResponse(request.url, 409, HTTPHeaders(), _Raw(answers.pop(0))) if answers else None

    made._s3.meta.events.register("before-send.s3.CreateBucket", answer)
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "AGAIN_SECONDS", 0.01)


def test_a_name_that_s3_holds_on_to_is_waited_for(emulator: Emulator) -> None:
    made = refused(emulator, "name-held", [ABORTED] * 5)
    made.upload_functions()
    emulator.session().client("s3").head_object(Bucket=made.bucket, Key=made.key)


def test_a_name_that_stays_held_is_reported_in_one_line(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "NAME_SECONDS", 0.0)
    with pytest.raises(DeployError, match=r"^S3 still holds on to the name of bucket name-kept-artifacts-\S+, [^\n]+$"):
        refused(emulator, "name-kept", [ABORTED] * 1000).upload_functions()


def test_a_name_of_another_account_is_not_waited_for(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="BucketAlreadyExists"):
        refused(emulator, "name-taken", [TAKEN] * 1000).upload_functions()
