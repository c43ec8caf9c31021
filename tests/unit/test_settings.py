"""The environment: defaults, bounds, and one clear line for each mistake."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.payload.contracts import DEFAULT
from consumer.setting_types import RUN_DIR_BYTES
from consumer.settings import Settings, SettingsError

REQUIRED = {
    "STREAM_NAME": "events",
    "SENSOR_TABLE": "SensorDataTable",
    "ARCHIVE_BUCKET": "archive-bucket",
    "AWS_REGION": "eu-central-1",
}


def load(**changes: str) -> Settings:
    return Settings.load(REQUIRED | changes)


def test_the_required_ones_suffice() -> None:
    settings = load(WORKER_ID="task/1:a", TMPDIR="/scratch")
    assert settings.application_name == "events-consumer"
    assert settings.run_dir == "/scratch/sensorstream-task-1-a"
    assert settings.initial_position is None
    assert settings.reading_contracts == DEFAULT
    assert settings.cloudwatch_namespace == "Sensor"
    assert load().worker_id


@pytest.mark.parametrize("variable", REQUIRED)
@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_one_is_named(variable: str, text: str | None) -> None:
    environ = {name: value for name, value in REQUIRED.items() if name != variable}
    if text is not None:
        environ[variable] = text
    with pytest.raises(SettingsError, match=f"^{variable}: is not set"):
        Settings.load(environ)


def test_every_fault_is_reported() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load(
            {"STREAM_NAME": "a b", "HTTP_PORT": "x", "REDING_CONTRACTS": "y", "WORKER_ID": "a b", "TMPDIR": "t"}
        )
    assert [fault.partition(":")[0] for fault in raised.value.faults] == [
        "STREAM_NAME",
        "SENSOR_TABLE",
        "ARCHIVE_BUCKET",
        "AWS_REGION",
        "WORKER_ID",
        "HTTP_PORT",
        "RUN_DIR",
        "REDING_CONTRACTS",
    ]
    assert str(raised.value) == "\n".join(raised.value.faults)


def test_the_region_may_come_from_either_variable() -> None:
    environ = {name: value for name, value in REQUIRED.items() if name != "AWS_REGION"}
    assert Settings.load(environ | {"AWS_DEFAULT_REGION": "us-gov-west-1"}).aws_region == "us-gov-west-1"
    with pytest.raises(SettingsError, match=r"^AWS_DEFAULT_REGION: must be a region"):
        Settings.load(environ | {"AWS_DEFAULT_REGION": "Frankfurt"})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("STREAM_NAME", "a b"),
        ("SENSOR_TABLE", "t"),
        ("ARCHIVE_BUCKET", "Upper"),
        ("APPLICATION_NAME", "a/b"),
        ("WORKER_ID", "a\nb"),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL_S3", "http://[::1"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://host:99999"),
        ("INITIAL_POSITION", "LATEST"),
        ("INITIAL_POSITION", "AT_TIMESTAMP"),
        ("INITIAL_POSITION", "AT_TIMESTAMP:2026-11-22T10:48:16"),
        ("INITIAL_POSITION", "trim_horizon"),
        ("RETRIEVAL_MODE", "polling"),
        ("MAX_RECORDS", "0"),
        ("MAX_RECORDS", "10001"),
        ("MAX_RECORDS", "1_000"),
        ("MAX_RECORDS", "٥٠٠"),
        ("POLL_MILLIS", "199"),
        ("POLL_MILLIS", "250ms"),
        ("ARCHIVE_MAX_BYTES", "8MB"),
        ("FAST_START", "yes"),
        ("FAST_START", "True"),
        ("LEASE_TABLES", "make"),
        ("READING_CONTRACTS", "[]"),
        ("READING_CONTRACTS", "[{"),
        ("READING_CONTRACTS", "{}"),
        ("READING_CONTRACTS", "no/such/file.json"),
        ("READING_CONTRACTS", '["generation-3"]'),
        ("READING_CONTRACTS", '["generation-1","generation-1"]'),
        ("READING_CONTRACTS", '[{"device":"a","time":"b"}]'),
        ("READING_CONTRACTS", '[{"device":"a","time":"b","value":"c..d"}]'),
        ("READING_CONTRACTS", '[{"device":"a","time":"b","value":"\\n"}]'),
        ("READING_CONTRACTS", '[{"device":"a","time":"b","value":"c","unit":"d"}]'),
        ("READING_CONTRACTS", '[{"device":"a","time":"b","value":"c","time_zone":"Berlin"}]'),
        ("READING_FIELDS", "device=a,value=b,time=c"),
        ("MEASURES", "a"),
        ("CLOUDWATCH_NAMESPACE", "AWS/Sensor"),
        ("CLOUDWATCH_NAMESPACE", "a b"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "-1"),
        ("SHUTDOWN_SECONDS", "120"),
        ("RUN_DIR", "run"),
        ("RUN_DIR", "/" + "x" * RUN_DIR_BYTES),
        ("LOG_LEVEL", "verbose"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_one_is_named_on_one_line(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: ") as raised:
        load(**{variable: text})
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_long_temporary_folder_asks_for_a_run_dir() -> None:
    with pytest.raises(SettingsError, match=r"^RUN_DIR: "):
        load(TMPDIR="/" + "x" * 100)


def test_a_long_temporary_folder_is_left_alone_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    temporary = "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/"
    run_dir = load(TMPDIR=temporary, WORKER_ID="Some-Bodys-MacBook-Pro.local").run_dir
    assert run_dir == "/tmp/sensorstream-Some-Bodys-MacBook-Pro.local"  # noqa: S108


def test_an_endpoint_of_one_service_goes_before_the_common_one() -> None:
    settings = load(AWS_ENDPOINT_URL="http://localhost:4566", AWS_ENDPOINT_URL_DYNAMODB="http://localhost:8000")
    assert settings.endpoint("dynamodb") == "http://localhost:8000"
    assert settings.endpoint("s3") == "http://localhost:4566"
    assert load().endpoint("kinesis") is None


def test_a_start_in_time_is_in_utc() -> None:
    settings = load(INITIAL_POSITION="AT_TIMESTAMP:2026-11-22T11:48:16+01:00")
    assert settings.initial_position == datetime(2026, 11, 22, 10, 48, 16, tzinfo=UTC)


def test_contracts_stand_in_the_variable_or_in_a_file(tmp_path: Path) -> None:
    text = '["senml", {"device": "tracker.id", "time": "fix.at", "measures": ["fix.lat"]}]'
    file = tmp_path / "fleet.json"
    file.write_text(text)
    inline = load(READING_CONTRACTS=text).reading_contracts
    assert inline == load(READING_CONTRACTS=str(file)).reading_contracts
    assert [usage.name for usage in inline.usages()] == ["senml", "contract-2"]


def test_the_names_of_0_2_are_told_what_took_their_place() -> None:
    with pytest.raises(SettingsError) as raised:
        load(READING_FIELDS="device=a,value=b,time=c", MEASURES="a")
    assert raised.value.faults == (
        "MEASURES: was replaced; set READING_CONTRACTS instead (see docs/contracts.md)",
        "READING_FIELDS: was replaced; set READING_CONTRACTS instead (see docs/contracts.md)",
    )


def test_off_is_no_namespace() -> None:
    assert load(CLOUDWATCH_NAMESPACE="off").cloudwatch_namespace is None


ALERTS = {"ALERT_FUNCTION": "alert"}
TRACKER = json.dumps(
    [{"device": "id", "time": "at", "value": "fix.speed", "measures": ["fix.sats"], "sensors": {"heading": "fix.cog"}}]
)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ALERT_FIELD": "value"},
        {"ALERT_FIELD": "fix.sats", "READING_CONTRACTS": TRACKER},
        {"ALERT_FIELD": "fix.speed", "READING_CONTRACTS": TRACKER},
        {"ALERT_FIELD": "heading", "READING_CONTRACTS": TRACKER},
        {"ALERT_FIELD": "whatever", "READING_CONTRACTS": '["senml"]'},
        {"ALERT_FIELD": "whatever", "READING_CONTRACTS": '[{"device": "id", "time": "at", "measures": {"*": "fix"}}]'},
    ],
)
def test_alerts_go_by_the_value_or_by_a_measure(variables: dict[str, str]) -> None:
    assert load(**ALERTS, **variables).alert_function == "alert"


@pytest.mark.parametrize(
    "variables",
    [{"ALERT_FIELD": "humidty"}, {"READING_CONTRACTS": TRACKER}],
)
def test_a_field_that_no_reading_has_is_refused_where_the_consumer_raises_alerts(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ALERT_FIELD: no reading has"):
        load(**ALERTS, **variables)
    load(**variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (True, 0)),
        ("10s", (False, 10)),
        ("1m", (False, 60)),
        ("90s", (False, 90)),
        ("0,5m", (True, 300)),
        ("1h", (False, 3600)),
        ("1d", (False, 86_400)),
    ],
)
def test_the_table_holds_readings_or_rollups_or_both(text: str, expected: tuple[bool, int]) -> None:
    found = load(TABLE_RESOLUTION=text, ROLLUP_TABLE="rollups").table_resolution
    assert found == expected
    assert load(TABLE_RESOLUTION=str(found), ROLLUP_TABLE="rollups").table_resolution == found


@pytest.mark.parametrize("text", ["1", "0s", "5s", "7m", "2d", "1m,0", "0,0", "1m,5m", "0,", "1 m", "1w", "01m", "-1m"])
def test_windows_are_whole_parts_of_a_day(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^TABLE_RESOLUTION: must be 0 .* not "):
        load(TABLE_RESOLUTION=text, ROLLUP_TABLE="rollups")


def test_rollups_need_a_table() -> None:
    with pytest.raises(SettingsError, match=r"^ROLLUP_TABLE: is not set; TABLE_RESOLUTION asks for rollups"):
        load(TABLE_RESOLUTION="1m")
    assert load().rollup_table is None
