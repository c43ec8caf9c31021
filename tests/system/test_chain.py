"""The whole chain with the real daemon: what goes in comes out once, as a row, an archive line or a dead letter."""

import base64
import json
import os
import signal
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from consumer.archive.format import UNDELIVERABLE
from infra.local.process import LOCAL
from producer.fleet.credentials import names
from tests.compression import unpacked
from tests.system.aggregates import aggregate
from tests.system.conftest import System, wait_for
from tests.unit.malformed import malformed


def audit(system: System, ledger: str) -> dict[str, Any]:
    report: dict[str, Any] = system.producer("audit", "--ledger", ledger, "--wait", "60")
    return report


def lines(system: System, prefix: str) -> list[dict[str, Any]]:
    """All archive lines below a prefix."""
    s3, bucket = system.client("s3"), system.stack.outputs["ArchiveBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in unpacked(body).splitlines()]


def rows(system: System, device: str) -> list[Decimal]:
    answer = system.client("dynamodb").query(
        TableName=system.stack.outputs["SensorTable"],
        KeyConditionExpression="SensorId = :id",
        ExpressionAttributeValues={":id": {"S": device}},
    )
    return [Decimal(row["Value"]["N"]) for row in answer["Items"]]


def listed(system: System) -> list[str]:
    """The names in the list of devices."""
    pages = system.client("dynamodb").get_paginator("scan").paginate(TableName=system.stack.outputs["DevicesTable"])
    return [entry["SensorId"]["S"] for page in pages for entry in page["Items"]]


def test_a_fleet_over_mqtt_arrives_whole_with_its_alerts(system: System, ledger: str) -> None:
    system.wait(system.start("provision", "--devices", "10"))
    faults = ["--malformed", "0.05", "--duplicates", "0.05", "--late", "0.05", "--disorder", "0.05"]
    load = ["--devices", "10", "--rate", "200", "--for", "8", "--profile", "uniform", "--seed", "1"]
    sums = system.producer("simulate", *load, *faults, "--ledger", ledger)
    report = audit(system, ledger)
    assert report["ok"]
    assert report["published"] == sums["published"] >= 1_000
    assert report["archived"] == report["stream_records"] == sums["published"]
    assert report["rows"] == report["rows_expected"] > 0
    assert report["dead_letters"] == report["dead_letters_expected"] > 0
    assert report["alerts"] == report["alerts_expected"] > 0


def test_gateway_batches_of_both_generations_arrive_whole(system: System, ledger: str) -> None:
    base = [
        "--via",
        "kinesis",
        "--devices",
        "20",
        "--rate",
        "1000",
        "--for",
        "3",
        "--batch",
        "10",
        "--malformed",
        "0.02",
    ]
    system.producer("simulate", *base, "--shape", "sensorid", "--prefix", "old", "--ledger", ledger)
    system.producer("simulate", *base, "--batch-style", "lines", "--prefix", "new", "--ledger", ledger)
    report = audit(system, ledger)
    assert report["ok"]
    found = listed(system)
    assert len(set(found)) == len(found)
    assert {*names("old", 20), *names("new", 20)} <= set(found)
    assert report["rows"] > 5_000


def test_aggregates_of_a_fleet_arrive_whole_through_a_crash(system: System, ledger: str) -> None:
    """Archive objects of 500 records, and with them checkpoints, end within aggregates of 7."""
    load = ["--via", "kinesis", "--devices", "20", "--rate", "1500", "--for", "12", "--prefix", "packed"]
    faults = ["--malformed", "0.02", "--duplicates", "0.02"]
    simulation = system.start("simulate", *load, *faults, "--aggregate", "7", "--ledger", ledger, "--json")
    decoded = system.metric("sensorstream_readings_decoded_total")
    wait_for(lambda: system.metric("sensorstream_readings_decoded_total") > decoded + 3000, "readings")
    os.kill(system.shards()["daemonPid"], signal.SIGKILL)
    sums = system.finish(simulation)
    report = audit(system, ledger)
    assert report["ok"]
    assert report["published"] == report["archived"] == report["stream_records"] == sums["published"] > 10_000
    ours = [line for line in lines(system, "readings/") if line["partitionKey"].startswith("packed")]
    records = Counter((line["shard"], line["sequenceNumber"]) for line in ours)
    assert max(records.values()) == 7
    assert sum(records.values()) / len(records) > 5
    assert system.producer("audit", "--wait", "30")["ok"]


def test_aggregates_are_deaggregated_and_a_broken_one_affects_no_other_record(system: System) -> None:
    stream = system.stack.outputs["StreamName"]
    shard = system.client("kinesis").list_shards(StreamName=stream)["Shards"][0]
    hash_key = shard["HashKeyRange"]["StartingHashKey"]
    now = time.time_ns() // 1_000_000

    def reading(number: int) -> bytes:
        return json.dumps({"name": "kpl", "humidity": number, "timeStampEpoch": now + number}).encode()

    broken = aggregate([b"x"], "kpl", hash_key, key_index=7)
    payloads = [
        *(reading(number) for number in range(20)),
        broken,
        *(reading(number) for number in range(20, 40)),
        aggregate([reading(number) for number in range(40, 60)], "kpl", hash_key),
        *(reading(number) for number in range(60, 80)),
    ]
    records = [{"Data": data, "PartitionKey": "kpl", "ExplicitHashKey": hash_key} for data in payloads]
    assert system.client("kinesis").put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0
    wait_for(lambda: len(rows(system, "kpl")) == 80, "80 rows")
    assert rows(system, "kpl") == [Decimal(number) for number in range(80)]
    wait_for(lambda: lines(system, UNDELIVERABLE), "dead letter of the broken aggregate")
    (dead,) = lines(system, UNDELIVERABLE)
    assert base64.b64decode(dead["data"]) == broken
    wait_for(lambda: sum(line["partitionKey"] == "kpl" for line in lines(system, "readings/")) == 80, "80 lines")
    positions = [
        (int(line["sequenceNumber"]), line["subSequenceNumber"])
        for line in lines(system, "readings/")
        if line["partitionKey"] == "kpl"
    ]
    assert len(set(positions)) == 80
    assert {sub for _, sub in positions} == set(range(20))


def test_a_thousand_kinds_of_malformed_stop_nothing(system: System) -> None:
    stream, kinesis = system.stack.outputs["StreamName"], system.client("kinesis")
    # Kinesis itself refuses an empty record.
    payloads = [data for data in malformed(1_001, seed=7) if data]
    good = json.dumps({"name": "good", "humidity": 1, "timeStampEpoch": time.time_ns() // 1_000_000}).encode()
    for data in (*payloads, good):
        kinesis.put_record(StreamName=stream, Data=data, PartitionKey="malformed")

    def found(prefix: str) -> list[dict[str, Any]]:
        return [line for line in lines(system, prefix) if line["partitionKey"] == "malformed"]

    wait_for(lambda: len(found("readings/")) == len(payloads) + 1, "archive lines", 90)
    wait_for(lambda: len(found("dead-letters/date=")) == len(payloads), f"{len(payloads)} dead letters")
    assert rows(system, "good") == [Decimal(1)]
    dead = found("dead-letters/date=")
    assert len({line["sequenceNumber"] for line in dead}) == len(payloads)
    assert all(reject["reason"] for line in dead for reject in line["rejects"])


def test_query_and_publish_from_a_terminal(system: System) -> None:
    system.producer("publish", "greenhouse", "41.5", "41.7")
    wait_for(lambda: len(rows(system, "greenhouse")) == 2, "two rows")
    answer = system.producer("query", "greenhouse")
    assert [item["Value"] for item in answer["Items"]] == [41.7, 41.5]
    assert answer["Count"] == 2


def test_the_doctor_finds_nothing_in_a_running_stack(system: System) -> None:
    report = system.producer("doctor")
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert report["ok"]
    assert states["leases"] == "ok"
    assert "OperatorRole" in report["checks"][0]["detail"]


def test_a_report_of_a_defect_has_all_parts_and_no_credentials(system: System, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    system.wait(system.start("bug-report", "--out", str(out)))
    text = out.read_text()
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    assert "nothing found" in parts["Examination"]
    assert "whole ShardCount=2" in parts["Parameters"]
    assert '"healthy": true' in parts["Consumer"]
    assert '"shard": "shardId-000000000001"' in parts["Consumer"]
    assert "consumer.log" in parts["Logs of the local stack"]
    env = system.env("bug-report")
    assert not any(env[name] in text for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if env.get(name))


def test_the_service_shows_its_state(system: System) -> None:
    state = system.shards()
    assert state["healthy"]
    assert [shard["shard"] for shard in state["shards"]] == ["shardId-000000000000", "shardId-000000000001"]
    assert json.loads(system.get("/healthz"))["healthy"]
    assert system.metric("sensorstream_owned_shards") == 2
    assert system.metric("sensorstream_readings_decoded_total") > 0
    assert system.metric("sensorstream_readings_rejected_total", reason="bad-aggregate") == 1
    assert system.metric("sensorstream_event_age_seconds_count") > 0


def test_a_killed_daemon_is_started_again_in_place(system: System, ledger: str) -> None:
    load = ["--via", "kinesis", "--devices", "20", "--rate", "200", "--for", "12", "--prefix", "kill"]
    simulation = system.start("simulate", *load, "--ledger", ledger, "--json")
    decoded = system.metric("sensorstream_readings_decoded_total")
    wait_for(lambda: system.metric("sensorstream_readings_decoded_total") > decoded + 200, "readings")
    os.kill(system.shards()["daemonPid"], signal.SIGKILL)
    system.finish(simulation)
    assert audit(system, ledger)["ok"]
    assert system.metric("sensorstream_daemon_restarts_total") >= 1


def test_a_stopped_service_commits_and_the_next_one_resumes(system: System, ledger: str) -> None:
    load = ["--via", "kinesis", "--devices", "20", "--rate", "200", "--for", "15", "--prefix", "stop"]
    simulation = system.start("simulate", *load, "--ledger", ledger, "--json")
    decoded = system.metric("sensorstream_readings_decoded_total")
    wait_for(lambda: system.metric("sensorstream_readings_decoded_total") > decoded + 200, "readings")
    assert system.stack.stop_consumer() == 0
    log = (LOCAL / "log/consumer.log").read_text()
    assert "stopped; every shard committed" in log
    assert "Traceback" not in log.replace('\\"', "").split("stopping:")[-1]
    system.stack.start_consumer()
    system.finish(simulation)
    assert audit(system, ledger)["ok"]
    # Settled means checkpointed: nothing that the first service had archived came again.
    assert system.metric("sensorstream_records_redelivered_total") == 0


def test_a_reshard_is_followed_from_the_parents_to_their_children(system: System, ledger: str) -> None:
    stream = system.stack.outputs["StreamName"]
    load = ["--via", "kinesis", "--devices", "40", "--rate", "200", "--for", "15", "--prefix", "shard"]
    simulation = system.start("simulate", *load, "--ledger", ledger, "--json")
    decoded = system.metric("sensorstream_readings_decoded_total")
    wait_for(lambda: system.metric("sensorstream_readings_decoded_total") > decoded + 200, "readings")
    restarts = system.metric("sensorstream_daemon_restarts_total")
    system.client("kinesis").update_shard_count(StreamName=stream, TargetShardCount=3, ScalingType="UNIFORM_SCALING")
    system.finish(simulation)
    report = audit(system, ledger)
    assert report["ok"]
    live = {shard["shard"] for shard in system.shards()["shards"] if shard["live"]}
    assert len(live) == 3
    assert not live & {"shardId-000000000000", "shardId-000000000001"}
    assert system.metric("sensorstream_daemon_restarts_total") == restarts


def test_cloudwatch_counts_every_reading(system: System, ledger: str) -> None:
    """The sums go out once a minute and at a graceful stop; after it, the sample count has grown by the readings."""

    def samples() -> float:
        now = time.time()
        points = system.client("cloudwatch").get_metric_statistics(
            Namespace="Sensor",
            MetricName="SensorData",
            StartTime=now - 3 * 3600,
            EndTime=now + 3600,
            Period=60,
            Statistics=["SampleCount"],
        )["Datapoints"]
        return sum(float(point["SampleCount"]) for point in points)

    system.stack.stop_consumer()
    before = samples()
    system.stack.start_consumer()
    load = ["--via", "kinesis", "--devices", "5", "--rate", "100", "--for", "3", "--prefix", "cloud"]
    system.producer("simulate", *load, "--ledger", ledger)
    report = audit(system, ledger)
    decoded = system.metric("sensorstream_readings_decoded_total")
    system.stack.stop_consumer()
    assert samples() - before == decoded == report["rows"]
    system.stack.start_consumer()


def test_the_rollups_equal_the_archive(system: System) -> None:
    """After all that the tests before have done to the service."""
    system.producer("publish", "rolled", "61.5", "62")
    report = system.producer("audit", "--rollups", "--wait", "60")
    assert (report["ok"], report["otherwise"]) == (True, 0)
    assert report["readings"] > report["rollups"] > 0
