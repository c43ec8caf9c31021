"""Each kind of error of AWS or its SDK gets its own hint, and no misleading one."""

import pytest
from botocore import exceptions as sdk
from botocore.exceptions import ClientError

from consumer.aws.errors import explain


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("KMSDisabledException", "the key must be there and enabled"),
        ("KMS.NotFoundException", "the key must be there and enabled"),
        ("KMSInvalidStateException", "the key must be there and enabled"),
        ("KMSAccessDeniedException", "may not do this"),
        ("KMSThrottlingException", "try again in a while"),
        ("ResourceNotFoundException", "is it the right account, region (AWS_REGION) and name?"),
        ("RepositoryNotFoundException", "is it the right account"),
        ("AWS.SimpleQueueService.NonExistentQueue", "is it the right account"),
        ("NoSuchBucket", "is it the right account"),
        ("PermanentRedirect", "it is in another region: set AWS_REGION"),
        ("ServiceQuotaExceededException", "Service Quotas console"),
        ("LimitExceededException", "try again in a while"),
    ],
)
def test_a_refusal_names_its_fix(code: str, fix: str) -> None:
    reported = explain(ClientError({"Error": {"Code": code, "Message": "why\nnot"}}, "Operation"))
    assert reported.startswith(f"Operation: {code}: why not; ")
    assert fix in reported


@pytest.mark.parametrize(
    "error",
    [
        sdk.ParamValidationError(report="Invalid bucket name"),
        sdk.WaiterError(name="TableExists", reason="Max attempts exceeded", last_response={}),
        sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_what_has_nothing_to_do_with_the_configuration_does_not_send_people_there(error: Exception) -> None:
    assert "; " in explain(error)
    assert "AWS configuration" not in explain(error)


def test_an_address_is_reported_without_its_password() -> None:
    error = sdk.EndpointConnectionError(endpoint_url="http://user:planted@127.0.0.1:1/", error="refused")
    assert "planted" not in explain(error)
    assert "127.0.0.1:1" in explain(error)


def test_keys_in_the_environment_go_before_a_profile_and_the_hint_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Operation")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    assert "unset AWS_ACCESS_KEY_ID" in explain(denied)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "unset" not in explain(denied)
    assert "set AWS_PROFILE" in explain(denied)
