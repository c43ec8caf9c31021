"""A real Prometheus at the running system: every metric is there, and each alert fires under its fault and no other."""

import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.archive.format import READINGS, ObjectMetadata, key
from consumer.kcl.read_errors import REASONS as READ_REASONS
from consumer.payload.reading import REASONS
from consumer.pipeline.ownership import ENDS
from consumer.restarts import Reason
from consumer.telemetry.metrics import BOUNDS, LEASE_READS, OUTCOMES, SINKS
from infra.local import stack as local
from infra.local.emulator import HOST, free_port
from infra.local.options import Options
from infra.local.process import ROOT
from infra.local.stack import LocalStack
from tests.faults.http_faults import TABLE_THROTTLE, names_table, refused, to
from tests.faults.proxy import Proxy
from tests.faults.read_cases import GET_RECORDS
from tests.rules import metrics, rules
from tests.system.conftest import SETTINGS, System, wait_for
from tests.system.prometheus import FASTER, Prometheus

OPEN_ENDED = {
    *("sensorstream_retries", "sensorstream_checkpoint_errors", "sensorstream_cloudwatch_omitted"),
    *("sensorstream_contract_lacking", "sensorstream_alert_errors"),
}
# By path: of contracts with measures, and of messages that match none. promtool's tests have series of them.
BY_PATH = {f"sensorstream_contract_{kind}_total" for kind in ("missing", "unusable", "lacking")}
RECORDED = {rule.name for rule in rules("record")}
MINUTES_OF_QUIET = 10
STUCK = ("LagGrowing", "ShardNotProgressing", "CheckpointStale")
OPEN = "ArchiveObjectOpenTooLong"  # whether an object is open when a fault begins is chance, unless it is the archive's


class Patient:
    """A system of its own that faults are done to: plain HTTP, its table behind a proxy, its own Prometheus."""

    def __init__(self, system: System, proxy: Proxy, prometheus: Prometheus) -> None:
        self.system = system
        self.proxy = proxy
        self.prometheus = prometheus

    @contextmanager
    def load(self, *options: str) -> Iterator[None]:
        """A fleet of forty devices, as long as the block lasts; its readings are arriving when it begins."""
        base = ["simulate", "--via", "kinesis", "--devices", "40", "--rate", "100", "--for", "600"]
        process = self.system.start(*base, *options)
        try:
            wait_for(lambda: self.system.metric("sensorstream_archive_open_records"), "open archive object")
            yield
            assert process.poll() is None, process.communicate()
        finally:
            process.terminate()
            process.communicate(timeout=30)

    def firing(self) -> set[str]:
        return set(self.prometheus.alerts())

    def expect(self, *alerts: str, may: tuple[str, ...] = (), seconds: float = 90) -> None:
        """Waits until these fire; fails as soon as any other does, but for those that may."""

        def all_of_them() -> bool:
            firing = self.firing()
            assert firing <= {*alerts, *may}, firing
            return firing >= set(alerts)

        try:
            wait_for(all_of_them, " and ".join(alerts), seconds)
        except AssertionError as error:
            raise AssertionError(f"only {sorted(self.firing())}: {error}") from error

    def quiet(self, seconds: float = 90) -> None:
        """Waits until nothing fires any more."""
        wait_for(lambda: not self.firing(), "end of the alerts", seconds)


@pytest.fixture(scope="module")
def patient(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    folder = tmp_path_factory.mktemp("patient")
    aws, mqtt, http = free_port(), free_port(), free_port()
    with pytest.MonkeyPatch.context() as patch, Proxy(HOST, aws) as proxy:
        patch.setattr(local, "LOCAL", folder)  # beside the other system, whose devices are in the usual folder
        settings = SETTINGS | {
            f"AWS_ENDPOINT_URL_{each.upper()}": proxy.urls[each] for each in ("dynamodb", "kinesis", "s3")
        }
        options = Options("patient", aws, mqtt, http, enforce=False, consumer_settings=settings)
        with (
            LocalStack(options, print) as running,
            Prometheus(folder, {"sensorstream": running.consumer_url}) as prometheus,
        ):
            yield Patient(System(running), proxy, prometheus)


def test_every_metric_of_a_rule_is_there(system: System, prometheus: Prometheus) -> None:
    system.producer("publish", "greenhouse", "41.5")
    asked = {name for kind in ("record", "alert") for rule in rules(kind) for name in metrics(rule.expression)}
    assert asked >= {"sensorstream_leases"} | BY_PATH

    def missing() -> list[str]:
        return sorted(name for name in asked - BY_PATH | RECORDED if not prometheus.query(name))

    wait_for(lambda: not missing(), "series of each name")
    assert prometheus.problems() == []


def test_leases_and_shards_agree(system: System, prometheus: Prometheus) -> None:
    shards = system.client("kinesis").list_shards(
        StreamName=system.stack.outputs["StreamName"], ShardFilter={"Type": "AT_LATEST"}
    )["Shards"]

    def agree() -> bool:
        asked = (
            'sensorstream_leases{state="open"}',
            "sensorstream_owned_shards",
            "sum(job:sensorstream_owned_shards:max)",
        )
        found = [prometheus.query(expression) for expression in asked]
        return all(series and series[0].values == [float(len(shards))] for series in found)

    wait_for(agree, f"{len(shards)} shards")
    wait_for(lambda: [each.values for each in prometheus.query('sensorstream_leases{state="unowned"}')] == [[0.0]], "0")


def test_a_worker_has_as_many_series_as_the_metrics_page_says(system: System) -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    found = re.search(r"Each worker has (\d+) with the built-in contracts[^.]* and (\d+) more for each shard", page)
    assert found

    def counted() -> tuple[int, float]:
        families = list(text_string_to_metric_families(system.get("/metrics")))
        series = [sample for family in families for sample in family.samples if family.name not in OPEN_ENDED]
        of_shards = sum("shard" in sample.labels for sample in series)
        return len(series) - of_shards, of_shards / system.metric("sensorstream_owned_shards")

    system.producer("publish", "greenhouse", "41.5")  # the stages have series from the first batch on
    wait_for(lambda: system.metric("sensorstream_batches_total"), "a batch")
    assert counted() == (int(found[1]), int(found[2]))


def test_metrics_contain_no_secrets(system: System) -> None:
    """Labels are words of our own, names of shards and errors, and numbers: nothing of devices, data or credentials."""
    words = {*REASONS, *READ_REASONS, *OUTCOMES, *SINKS, *BOUNDS, *Reason, *ENDS, "open", "unowned", "decode", "rows"}
    words |= {*LEASE_READS, "full", "refused", "end"}  # the last ones of alerts that are dropped
    words |= {"generation-1", "generation-2", "name", "humidity", "timeStampEpoch", "sensorid", "value", "timestamp"}
    shapes = {"shard": r"shardId-\d{12}", "le": r"\+Inf|[\d.]+", "error": "[A-Za-z]+"}
    shapes |= dict.fromkeys(("python", "kclpy", "version"), r"[\d.]+")
    for family in text_string_to_metric_families(system.get("/metrics")):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert value in words or re.fullmatch(shapes[label], value), sample


def test_who_asks_for_openmetrics_gets_it(system: System) -> None:
    request = urllib.request.Request(  # noqa: S310 - own address
        f"{system.stack.consumer_url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - own address
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        text = answer.read().decode()
    assert "# TYPE sensorstream_rows_written counter" in text
    assert text.endswith("# EOF\n")


def test_good_load_fires_nothing(patient: Patient) -> None:
    window = f"[{MINUTES_OF_QUIET * 60 // FASTER}s:1s]"

    def all_the_time() -> bool:
        rows = patient.prometheus.query(f"min_over_time(job:sensorstream_rows_written:rate5m{window}) > 50")
        return bool(rows) and patient.prometheus.query(f"count_over_time(up{window})")[0].values[0] >= 20

    with patient.load():
        wait_for(all_the_time, "rows all the time")
        assert patient.prometheus.query(f'count_over_time(ALERTS{{alertstate="firing"}}{window})') == []


def test_a_table_that_refuses_everything_raises_four_alerts(patient: Patient) -> None:
    table = patient.system.stack.outputs["SensorTable"]
    with patient.load():
        patient.quiet()
        with patient.proxy.fault(refused(names_table(table), 400, TABLE_THROTTLE)):
            patient.expect(*STUCK, "TableThrottled", may=(OPEN,))
            for labels in patient.prometheus.alerts()["CheckpointStale"]:
                assert labels["job"] == "sensorstream"
                assert labels["shard"].startswith("shardId-")
        patient.quiet()


def test_a_bucket_that_refuses_everything_raises_four_alerts(patient: Patient) -> None:
    with patient.load():
        patient.quiet()
        with patient.proxy.fault(refused(to("s3"), 503, "SlowDown")):
            patient.expect(*STUCK, OPEN)
        patient.quiet()


def test_a_stream_that_may_not_be_read_raises_an_alert_with_the_reason(patient: Patient) -> None:
    """Nothing is delivered, so nothing that was delivered grows old but the archive object that is open."""
    with patient.load():
        patient.quiet()
        with patient.proxy.shaping.refuse("AccessDeniedException", GET_RECORDS):
            patient.expect("StreamUnreadable", "LagGrowing", may=(*STUCK, OPEN), seconds=180)
            assert {labels["reason"] for labels in patient.prometheus.alerts()["StreamUnreadable"]} == {"access-denied"}
        patient.quiet(180)


def test_a_daemon_that_is_killed_three_times_raises_an_alert(patient: Patient) -> None:
    patient.quiet()
    killed: set[int] = set()
    for _ in range(3):
        wait_for(lambda: patient.system.shards()["daemonPid"] not in {None, *killed}, "next daemon")
        killed.add(pid := patient.system.shards()["daemonPid"])
        os.kill(pid, signal.SIGKILL)
    patient.expect("DaemonRestarts", may=("ShardWithoutWorker",))  # a slow machine is as long without a daemon
    rows = patient.system.metric("sensorstream_rows_written_total")
    patient.system.producer("publish", "greenhouse", "41.5")
    wait_for(lambda: patient.system.metric("sensorstream_rows_written_total") > rows, "a daemon that serves", 180)


def test_malformed_payloads_raise_alerts_by_number_and_by_share(patient: Patient) -> None:
    with patient.load("--malformed", "0.5"):
        still = ("DaemonRestarts", "ShardWithoutWorker", "LagGrowing")  # a slow machine catches up for longer
        patient.expect("DeadLetters", "DeadLetterRatio", may=still)


def test_without_a_worker_then_with_one_that_is_fenced(patient: Patient) -> None:
    """The object of an owner to come stands where the next archive object belongs."""
    still = ("DaemonRestarts", "DeadLetters", "DeadLetterRatio", "LagGrowing")
    wait_for(lambda: patient.prometheus.query("job:sensorstream_leases_open:max > 0"), "leases that a worker has seen")
    wait_for(
        lambda: all(not each["openRecords"] for each in patient.system.shards()["shards"]), "committed archive objects"
    )
    assert patient.system.stack.stop_consumer() == 0
    patient.expect("ScrapeDown", "ShardWithoutWorker", may=still)
    where = foreign_object(patient.system)
    patient.system.stack.start_consumer()
    patient.expect("FenceEvents", may=("ScrapeDown", "ShardWithoutWorker", *still))
    patient.system.client("s3").delete_object(**where)
    # Fenced, the worker writes nothing for the shard; after a restart it can go on.
    os.kill(patient.system.shards()["daemonPid"], signal.SIGKILL)
    patient.quiet()
    assert patient.system.client("s3").head_object(**where)["Metadata"]["records"] == "1"


def foreign_object(system: System) -> dict[str, str]:
    """Puts a record into the stream, and where its archive object would be an object of a later epoch; returns its
    place."""
    kinesis, stream = system.client("kinesis"), system.stack.outputs["StreamName"]
    reading = {"name": "fenced", "humidity": 40, "timeStampEpoch": time.time_ns() // 1_000_000}
    put = kinesis.put_record(StreamName=stream, Data=json.dumps(reading).encode(), PartitionKey="fenced")
    at: dict[str, Any] = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": put["SequenceNumber"]}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=put["ShardId"], **at)["ShardIterator"]
    (record,) = kinesis.get_records(ShardIterator=iterator)["Records"]
    position = int(put["SequenceNumber"]), 0
    arrival = round(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    name = key(put["ShardId"], position, arrival, "zstd")
    where = {"Bucket": system.stack.outputs["ArchiveBucket"], "Key": READINGS + name}
    metadata = ObjectMetadata(position, position, 1, epoch=10**15)
    system.client("s3").put_object(**where, Body=b"another owner's", Metadata=metadata.metadata())
    return where
