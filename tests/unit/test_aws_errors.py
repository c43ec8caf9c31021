"""Each kind of error of AWS or its SDK gets its own hint, and no misleading one."""

import pytest
from botocore import exceptions as sdk
from botocore.exceptions import ClientError

from consumer.aws.errors import explain, explain_if_aws


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


def raised_in(package: str, error: Exception) -> Exception:
    """The error as a function of this package raises it."""
    namespace = {"__name__": f"{package}.somewhere", "error": error}
    exec("def fail(): raise error", namespace)  # noqa: S102 - the text above
    with pytest.raises(type(error)):
        namespace["fail"]()  # type: ignore[operator]
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("no\nroute"), "no route"),
        (
            PermissionError(13, "Permission denied", "/run/token"),
            "/run/token: Permission denied; the AWS configuration",
        ),
        (ValueError("Invalid header value b'planted\\n'"), "holds a character that is not allowed in a header"),
        (RuntimeError("the new credentials are expired"), "were already expired: log in again"),
        (KeyError("accessToken"), "'accessToken' is missing in what gives the AWS credentials"),
        (TypeError("not a string"), "not a string; look at the AWS configuration"),
    ],
)
def test_what_the_sdk_raises_without_a_class_of_its_own_is_explained(error: Exception, line: str) -> None:
    reported = explain_if_aws(raised_in("botocore", error)) or ""
    assert line in reported
    assert "planted" not in reported
    assert explain_if_aws(raised_in("elsewhere", type(error)(*error.args))) is None


def test_a_missing_file_of_certificates_is_not_taken_for_a_broken_network() -> None:
    reported = explain(sdk.HTTPClientError(error=FileNotFoundError(2, "No such file", "/ca.pem")))
    assert "AWS_CA_BUNDLE" in reported
    assert "the network" not in reported
