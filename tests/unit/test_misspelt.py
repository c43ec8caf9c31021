"""Names that look like settings are reported, names of other programs are not."""

import dataclasses

import pytest

import infra.__main__
import producer.cli
from consumer.misspelt import RENAMED, faults, misspelt, nearest
from consumer.settings import Settings, SettingsError
from producer.aws.session import VARIABLES

SETTINGS = [field.name.upper() for field in dataclasses.fields(Settings)] + ["AWS_DEFAULT_REGION"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("reading_contracts", "READING_CONTRACTS"),
        ("ARCHIVE_MAX_SECOND", "ARCHIVE_MAX_SECONDS"),
        ("ARCHIVE_MAX_SECS", "ARCHIVE_MAX_SECONDS"),
        ("ARCHIVE_MAX_MINUTES", "ARCHIVE_MAX_SECONDS"),
        ("ARCHIVE_MAX_BYETS", "ARCHIVE_MAX_BYTES"),
        ("REDING_CONTRACTS", "READING_CONTRACTS"),
        ("READING_CONTRACT", "READING_CONTRACTS"),
        ("STREAM_NAMES", "STREAM_NAME"),
        ("STREAMNAME", "STREAM_NAME"),
        ("STREAM-NAME", "STREAM_NAME"),
        ("Stream_Name", "STREAM_NAME"),
        ("stream_name", "STREAM_NAME"),
        ("SENSORS_TABLE", "SENSOR_TABLE"),
        ("ARCHIVE_BUKET", "ARCHIVE_BUCKET"),
        ("ROW_TTL", "ROW_TTL_DAYS"),
        ("ROW_TTL_HOURS", "ROW_TTL_DAYS"),
        ("RUNDIR", "RUN_DIR"),
        ("INITAL_POSITION", "INITIAL_POSITION"),
        ("INITIAL_POSTION", "INITIAL_POSITION"),
        ("CLOUDWATCH_NAMESPCE", "CLOUDWATCH_NAMESPACE"),
        ("CLOUD_WATCH_NAMESPACE", "CLOUDWATCH_NAMESPACE"),
        ("SHUTDOWN_MS", "SHUTDOWN_SECONDS"),
        ("HTTP_PROT", "HTTP_PORT"),
        ("LOG_LEVLE", "LOG_LEVEL"),
        ("AWS_REGON", "AWS_REGION"),
        ("ROWS_TTL_DAYS", "ROW_TTL_DAYS"),
        ("WORKER_IDS", "WORKER_ID"),
        ("RUN_DIRS", "RUN_DIR"),
        ("AWS_ENDPOINT_URL_S33", "AWS_ENDPOINT_URL_S3"),
        ("SENSOR_TABLE_NAME", "SENSOR_TABLE"),
        ("ARCHIVE_BUCKET_NAME", "ARCHIVE_BUCKET"),
        ("AWS_ENDPOINT_URL_DYNAMDB", "AWS_ENDPOINT_URL_DYNAMODB"),
        ("AWS_ENDPOINT_URL_DYNAMO_DB", "AWS_ENDPOINT_URL_DYNAMODB"),
    ],
)
def test_a_near_miss_is_reported_with_the_right_name(name: str, meant: str) -> None:
    assert list(misspelt({name: "5"}, SETTINGS)) == [(name, meant)]


FOREIGN = """
HOSTNAME HOME PATH PWD SHLVL LANG LC_ALL TERM TZ TMPDIR USER SHELL OLDPWD LOGNAME MAIL EDITOR PAGER DISPLAY
XDG_RUNTIME_DIR AWS_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
AWS_SESSION_TOKEN AWS_EXECUTION_ENV AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CA_BUNDLE AWS_EC2_METADATA_DISABLED
AWS_STS_REGIONAL_ENDPOINTS AWS_ENDPOINT AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_SSM AWS_ENDPOINT_URL_SSO
AWS_ENDPOINT_URL_SQS AWS_ENDPOINT_URL_SNS AWS_ENDPOINT_URL_ECS AWS_ENDPOINT_URL_EC2 AWS_ENDPOINT_URL_KINESIS_VIDEO
AWS_ENDPOINT_URL_CLOUDWATCH_LOGS AWS_RETRY_MODE AWS_ENDPOINT_URL_DYNAMODB_STREAMS AWS_ENDPOINT_URL_S3_CONTROL
AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_MAX_ATTEMPTS AWS_ACCOUNT_ID_ENDPOINT_MODE AWS_USE_FIPS_ENDPOINT
AWS_LAMBDA_FUNCTION_NAME AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN ECS_CONTAINER_METADATA_URI
ECS_CONTAINER_METADATA_URI_V4 ECS_AGENT_URI ECS_ENABLE_CONTAINER_METADATA JAVA_HOME JAVA_TOOL_OPTIONS JAVA_OPTS
JDK_JAVA_OPTIONS JAVA_VERSION JAVA PYTHONPATH PYTHONUNBUFFERED PYTHON_VERSION PYTHONHASHSEED VIRTUAL_ENV
PIP_INDEX_URL UV_INDEX_URL HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy HTTPS_PORT HTTPS_HOST
HTTP_METHOD PORT HOST LOG_LEVEL_X LOG_LEVEL_ROOT LOG_DIR LOG_FILE LOGLEVEL_ROOT LOGGING_LEVEL
KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_PORT_443_TCP_PROTO KUBERNETES_PORT MY_HTTP_PORT
SENSORSTREAM_SERVICE_HOST CONSUMER_URL STACK_NAME IMAGE IOT_ENDPOINT IOT_CA_FILE DEVICES_DIR ALERT_TOPIC_ARN
LOCAL_DIR STREAM_URL STREAM_ARN TABLE_NAME BUCKET_NAME APPLICATION_HOME APPLICATION_ID APP_NAME WORKER_IP
WORKER_PORT WORKERS RUN_ID RUN_MODE RUNNER_OS RUNNER_NAME RUNNER_TEMP CI GITHUB_RUN_ID GITHUB_WORKSPACE BUILD_ID
JOB_NAME NODE_NAME POD_NAME POD_NAMESPACE NAMESPACE CONTAINER_NAME SERVICE_NAME TASK_ID CLUSTER_NAME
OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER DD_AGENT_HOST DD_TRACE_SAMPLE_RATE SENTRY_DSN NEW_RELIC_LICENSE_KEY
CLOUDWATCH_LOG_GROUP CLOUDWATCH_AGENT PROMETHEUS_PORT MAX_WORKERS MAX_CONNECTIONS WEB_CONCURRENCY SHUTDOWN_TIMEOUT
POLL_INTERVAL FAST START_TIME READING_ROOM MEASUREMENT SSL_CERT_FILE REQUESTS_CA_BUNDLE GPG_KEY DEBIAN_FRONTEND
container _ A_PASSWORD
"""


@pytest.mark.parametrize("name", FOREIGN.split())
def test_names_of_others_are_left_alone(name: str) -> None:
    assert list(misspelt({name: "5"}, SETTINGS)) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_right_names_and_empty_ones_are_fine(name: str) -> None:
    assert list(misspelt({name: "5", f"{name}S": " "}, SETTINGS)) == []
    assert nearest(name.lower(), SETTINGS) == name


@pytest.mark.parametrize(
    "name", ["STACK_NAM", "STACKNAME", "DEVICE_DIR", "READING_CONTRACT", "ROW_TTL_DAY", "AWS_PROFIL"]
)
def test_the_producer_takes_no_misspelt_variable_for_none(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would ask another stack, or write rows by other contracts."""
    monkeypatch.setenv(name, "x")
    assert producer.cli.main(["query", "soilSensor1"]) == 2
    reported = capsys.readouterr().err
    assert reported.startswith(f"sensorstream: {name}: is not a setting; did you mean ")
    assert reported.count("\n") == 1


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_consumer_refuses_a_setting_under_its_old_name(old: str, new: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load(
            {"STREAM_NAME": "s", "SENSOR_TABLE": "rows", "ARCHIVE_BUCKET": "bkt", "AWS_REGION": "eu-west-1", old: "5"}
        )
    assert raised.value.faults == (f"{old}: was renamed; set {new} instead",)
    assert list(faults({old: " "}, [new])) == []


def test_the_consumer_is_not_started_as_someone_else() -> None:
    with pytest.raises(SettingsError, match="AWS_PROFIL: is not a setting; did you mean AWS_PROFILE"):
        Settings.load({"AWS_PROFIL": "prod"})


def test_a_deployment_is_not_looked_for_in_another_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFIL", "prod")
    assert infra.__main__.main(["destroy", "--stack", "s", "--yes"]) == 2
    assert "AWS_PROFIL: is not a setting; did you mean AWS_PROFILE?" in capsys.readouterr().err


@pytest.mark.parametrize("name", FOREIGN.split())
def test_names_of_others_are_nothing_to_the_commands(name: str) -> None:
    assert list(misspelt({name: "5"}, VARIABLES)) == []
