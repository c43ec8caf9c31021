"""What the demo lets a person choose, and what it shows."""

import io

import pytest
from prometheus_client import generate_latest

from consumer.telemetry.metrics import Metrics
from infra.deploy.cloudformation import InputError
from infra.local.choices import Settings
from infra.local.cookbook import pages
from infra.local.live import Consumer, Speed, View, line, read
from infra.local.options import Options


def test_the_defaults_are_those_of_the_readme() -> None:
    settings = Settings.load({})
    workload = settings.workload
    assert (workload.devices, workload.rate, workload.via, workload.seconds, settings.shards) == (
        50,
        100,
        "mqtt",
        None,
        2,
    )
    assert workload.mix.malformed == 0.01


@pytest.mark.parametrize("parameter", ["ShardCount=3", "SimulatorDevices=3"])
def test_a_parameter_is_not_silently_overruled_by_the_demos_own_variables(parameter: str) -> None:
    with pytest.raises(InputError, match=r"follows from [A-Z]+=\.\.\., which the demo takes"):
        Settings.load({"PARAMS": parameter})


def test_a_rate_that_no_fleet_may_send_is_refused_in_words_that_make_knows_too() -> None:
    with pytest.raises(InputError, match="take more devices") as refused:
        Settings.load({"RATE": "100000"})
    assert "--" not in str(refused.value)


def test_what_was_chosen_is_done() -> None:
    chosen = {"FOR": "60", "DEVICES": "7", "RATE": "1500", "VIA": "kinesis", "SHARDS": "4", "MALFORMED": "0"}
    settings = Settings.load(chosen)
    workload = settings.workload
    assert (workload.devices, workload.rate, workload.via, workload.seconds, settings.shards) == (
        7,
        1500,
        "kinesis",
        60,
        4,
    )
    assert workload.mix.malformed == 0
    assert workload.mix.binary


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1m", 60), ("1.5m", 90), ("2h", 7200)])
def test_times_may_have_a_unit(text: str, seconds: float) -> None:
    assert Settings.load({"FOR": text}).workload.seconds == seconds


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({"STACK": "My_Stack"}, "STACK=My_Stack: a name is at most 25 letters, digits and hyphens"),
        ({"HTTP_PORT": "4566"}, "HTTP_PORT=4566 is the port of AWS_PORT, too; choose another for one of them"),
        ({"AWS_PORT": "9000", "MQTT_PORT": "9000"}, "MQTT_PORT=9000 is the port of AWS_PORT"),
        ({"MQTT_PORT": "70000"}, "MQTT_PORT=70000 is not a port; choose one of 1..65535"),
        ({"MQTT_PORT": "x"}, "MQTT_PORT=x is not a port"),
    ],
)
def test_a_stack_that_cannot_be_is_refused_by_the_variables_name(given: dict[str, str], reported: str) -> None:
    with pytest.raises(InputError) as error:
        Options.load(given)
    assert reported in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOR", "soon"),
        ("FOR", "0"),
        ("FOR", "-1m"),
        ("DEVICES", "0"),
        ("DEVICES", "many"),
        ("DEVICES", "1.5"),
        ("RATE", "nan"),
        ("VIA", "post"),
        ("MALFORMED", "2"),
        ("SHARDS", "-1"),
    ],
)
def test_a_wrong_choice_is_named(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"^{name}={value} "):
        Settings.load({name: value})


@pytest.mark.parametrize(
    ("name", "page"), [("zigbee2mqtt", "zigbee2mqtt"), ("TTN", "the-things-network"), ("rtl_433", "rtl-433")]
)
def test_a_page_of_the_cookbook_is_chosen_by_its_file_or_its_contract(name: str, page: str) -> None:
    settings = Settings.load({"CONTRACT": name})
    assert settings.page is not None
    assert (settings.page.name, settings.workload.via, settings.workload.rate) == (page, "mqtt", 50)


def test_producers_of_records_go_past_iot_core_unless_told_otherwise() -> None:
    assert Settings.load({"CONTRACT": "kinesis"}).workload.via == "kinesis"
    assert Settings.load({"CONTRACT": "kinesis", "VIA": "mqtt", "RATE": "7"}).workload.via == "mqtt"


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({"CONTRACT": "nonsense"}, "CONTRACT=nonsense is no page of docs/devices; choose one of aws-iot-lorawan (lor"),
        ({"AGGREGATE": "10"}, "--aggregate goes with --via kinesis only; over MQTT a message of several is a --batch"),
        ({"CONTRACT": "ttn", "BATCH": "5"}, "BATCH is of the built-in contracts and does not go with CONTRACT=ttn"),
    ],
)
def test_what_cannot_be_simulated_is_refused(given: dict[str, str], reported: str) -> None:
    with pytest.raises(InputError) as error:
        Settings.load(given)
    assert str(error.value).startswith(reported)
    assert "\n" not in str(error.value)


def test_no_two_pages_share_a_name() -> None:
    names = [name for page in pages().values() for name in page.names]
    assert len(names) == len(set(names)) >= len(pages())


def test_a_parameter_of_the_command_line_takes_the_place_of_the_pages() -> None:
    given = {"CONTRACT": "esphome", "PARAMS": "AlertThreshold=50", "SHARDS": "3"}
    parameters = Settings.load(given).parameters(Options.load(given).parameters)
    assert (parameters["AlertThreshold"], parameters["AlertField"], parameters["ShardCount"]) == ("50", "humidity", "3")
    assert parameters["ReadingContracts"].startswith('[{"name":"esphome","device":')


def test_the_live_line_shows_the_consumers_own_metrics() -> None:
    metrics = Metrics()
    metrics.decoded.inc(1200)
    metrics.rows.inc(1198)
    metrics.archive_objects.inc(3)
    metrics.dead_letters.inc(12)
    gauges = (
        f'sensorstream_{name}{{shard="{shard}"}} {seconds / divisor}\n'
        for shard, seconds in (("a", 0.1), ("b", 2.5))
        for name, divisor in (("lag_seconds", 1), ("read_age_seconds", 10))
    )
    state = {"pid": None, "daemonPid": None, "shards": [{"live": True}, {"live": False}]}
    consumer = read(generate_latest(metrics.registry).decode() + "".join(gauges), state)
    assert consumer.shards == 1
    parts = line(75, 99.6, {"published": 1212, "alerts": 5, "alerts_expected": 6}, consumer, 431)
    assert "  ".join(parts) == (
        "01:15  lag 2.5 s  read 0.2 s ago  published 1,212 (100/s)  rows 1,198  alerts 5/6  row after 431 ms  "
        "objects 3  dead letters 12  readings 1,200"
    )


def test_the_live_line_begins_with_the_lag() -> None:
    sums = {"published": 12_345_678, "alerts": 123_456, "alerts_expected": 123_456}
    parts = line(3599, 10_000, sums, Consumer(lag=12.5, read_age=3.2), 12_431)
    assert "  ".join(parts)[:79].startswith("59:59  lag 12.5 s  read 3.2 s ago  published 12,345,678 (10,000/s)")


def test_without_a_terminal_a_line_comes_only_now_and_then() -> None:
    out = io.StringIO()
    view = View(out)
    for second in range(11):
        view.live([f"second {second}"], second)
    view.say("done")
    assert out.getvalue().splitlines() == ["second 0", "second 5", "second 10", "done"]


def test_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed()
    speeds = [speed.of(count, now) for now, count in enumerate([0, 100, 200, 300, 400, 500, 600, 600, 600])]
    assert speeds[0] == 0
    assert speeds[6] == 100
    assert speeds[8] == 60


def test_the_local_stack_takes_the_templates_parameters() -> None:
    given = {"PARAMS": "LogLevel=DEBUG ShardCount=4", "ARCHIVE_MAX_SECONDS": "5"}
    assert Options.load(given).parameters == {"ShardCount": "4", "ArchiveMaxSeconds": "5", "LogLevel": "DEBUG"}
    assert Options.load({}).parameters == {"ShardCount": "2"}
