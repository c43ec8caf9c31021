"""What the demo lets a person choose, and what it shows."""

import io
from collections import defaultdict
from typing import Any

import pytest
from prometheus_client import generate_latest
from rich.console import Console

from consumer.telemetry.metrics import Metrics
from infra.deploy.cloudformation import InputError
from infra.local.choices import Settings
from infra.local.cookbook import pages
from infra.local.live import Consumer, Shard, Speed, View, line, read
from infra.local.options import Options
from infra.local.screen import Screen


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
    state = {"pid": None, "daemonPid": None, "shards": [shard("a", 0.1, 0.2), shard("b", 2.5, 0.1) | {"live": False}]}
    consumer = read(generate_latest(metrics.registry).decode(), state)
    assert consumer.live == 1
    parts = line(75, 99.6, {"published": 1212, "alerts": 5, "alerts_expected": 6, "row_ms": 431}, consumer)
    assert "  ".join(parts) == (
        "01:15  lag 2.5 s  read 0.2 s ago  published 1,212 (100/s)  rows 1,198  alerts 5/6  row after 431 ms  "
        "objects 3  dead letters 12  readings 1,200"
    )


def shard(name: str, lag: float, read_age: float) -> dict[str, Any]:
    """As /shards tells of it."""
    return {"shard": name, "live": True, "lagSeconds": lag, "readAgeSeconds": read_age, "openRecords": 17}


def test_the_live_line_begins_with_the_lag() -> None:
    sums = {"published": 12_345_678, "alerts": 123_456, "alerts_expected": 123_456, "row_ms": 12_431}
    parts = line(3599, 10_000, sums, Consumer(shards=[Shard("a", True, 12.5, 3.2, 0)]))
    assert "  ".join(parts)[:79].startswith("59:59  lag 12.5 s  read 3.2 s ago  published 12,345,678 (10,000/s)")


def screen(consumer: Consumer | None) -> list[str]:
    """As a terminal of 80 columns shows it."""
    console = Console(file=io.StringIO(), width=80, highlight=False)
    sums = {"published": 1212, "alerts": 5, "alerts_expected": 6, "row_ms": 431}
    console.print(Screen("http://127.0.0.1:8090/?token=x").shown(1, "00:30  400 readings/s", sums, consumer))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_terminal_gets_counts_and_each_shard() -> None:
    counters = defaultdict(float, rows_written=1198.0, archive_records=1000.0, archive_objects=3.0)
    shown = screen(Consumer(counters, [Shard("shardId-1", True, 2.5, 0.1, 198), Shard("shardId-0", True, 0.1, 0.2, 0)]))
    assert shown == [
        "00:30 400 readings/s",
        "console http://127.0.0.1:8090/?token=x",
        "published 1,212 0/s rows 1,198 0/s",
        "archived 1,000 3 objects first row after 431 ms",
        "alerts 5 1 on their way dead letters 0",
        "shard lag s read s ago in the open object",
        "─" * len(shown[6]),
        "shardId-0 0.1 0.2 0",
        "shardId-1 2.5 0.1 198",
    ]


def test_of_many_shards_a_terminal_gets_those_with_the_greatest_lag() -> None:
    shown = screen(Consumer(shards=[Shard(f"shardId-{lag:02d}", True, lag, 0.1, 0) for lag in range(20)]))
    assert [line.split()[0] for line in shown[-13:]] == [f"shardId-{lag:02d}" for lag in range(8, 20)] + ["8"]


def test_a_terminal_is_told_when_the_consumer_does_not_answer() -> None:
    assert screen(None)[-1] == "the consumer does not answer"


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
