"""The audit finds every single fault, and nothing in a faithful copy of the stream."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumer.archive.format import UNDELIVERABLE, undeliverable_line
from infra.functions.alert import minute
from infra.local.emulator import Emulator
from producer.aws.stack import Stack
from producer.fleet.condition import Condition
from producer.fleet.latency_probe import LatencyProbe
from producer.fleet.ledger import Ledger, entry
from producer.fleet.malformed import malformed
from producer.fleet.message import ARRIVAL, Measurement, Message, iso_utc, single
from producer.ops.alerts import Subscriber, alerts_file, unsubscribe
from producer.ops.archive_index import Span
from producer.ops.audit import AuditResult, audit, audit_archive
from tests.component.alert_rig import Rig
from tests.conftest import Deployed

ANY_AGE = Condition(max_age=0)
START = 1_795_345_942_830


@dataclass
class World:
    """What a consumer would have made of the messages; a test spoils it before it is written."""

    stack: Stack
    ledger: Path
    messages: list[Message]
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)  # by message number
    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    twice: set[int] = field(default_factory=set)  # lines to stand in a second archive object, too
    metadata: dict[str, str] = field(default_factory=dict)

    def publish(self, *, through_rules: bool = False) -> None:
        """Into the real stream and the ledger; what must become of it is worked out from the answers."""
        kinesis = self.stack.session.client("kinesis")
        with Ledger(self.ledger) as book:
            for message in self.messages:
                put = kinesis.put_record(StreamName=self.stack.stream, PartitionKey="one", Data=message.payload)
                self.lines[message.number] = self._line(message, put["ShardId"], put["SequenceNumber"])
                for row in message.rows:
                    if row.time_ms != ARRIVAL:
                        self.rows[row.device, iso_utc(row.time_ms)] = row.value
                if message.rejects:
                    self.dead.add(message.number)
                at = int(datetime.now(UTC).timestamp() * 1000)
                condition = Condition()
                book.record(entry(message, at, ack=True, attempts=1, condition=condition, through_rules=through_rules))

    def _line(self, message: Message, shard: str, sequence: str) -> dict[str, Any]:
        line: dict[str, Any] = {
            "shard": shard,
            "sequenceNumber": sequence,
            "subSequenceNumber": 0,
            "partitionKey": "one",
        }
        if message.rejects:
            line["rejected"] = len(message.rejects)
            line["rejects"] = [{"index": 0, "reason": reason, "detail": ""} for reason in message.rejects]
            line["data"] = base64.b64encode(message.payload).decode()
        return line | {"payload": None if message.rejects else message.payload.decode()}

    def write(self) -> None:
        """Archive, dead letters and table as they stand in this object."""
        lines = sorted(self.lines.items(), key=lambda item: item[1]["sequenceNumber"])
        half = len(lines) // 2
        for part in (lines[:half], lines[half:], [item for item in lines if item[0] in self.twice]):
            if part:
                self._put("readings/", part, self.metadata)
        if dead := [item for item in lines if item[0] in self.dead]:
            self._put("dead-letters/", dead, {})
        dynamodb = self.stack.session.client("dynamodb")
        for (device, time), value in self.rows.items():
            item: Any = {"SensorId": {"S": device}, "Timestamp": {"S": time}, "Value": {"N": value}}
            dynamodb.put_item(TableName=self.stack.table, Item=item)

    def _put(self, prefix: str, lines: list[tuple[int, dict[str, Any]]], metadata: dict[str, str]) -> None:
        first, last = lines[0][1], lines[-1][1]
        day = datetime.now(UTC).strftime("date=%Y-%m-%d/hour=%H")
        key = f"{prefix}{day}/{first['shard']}/{first['sequenceNumber'].zfill(56)}-{0:010d}.ndjson.gz"
        reported = {"first": f"{first['sequenceNumber']}.0", "last": f"{last['sequenceNumber']}.0"}
        reported |= {"records": str(len(lines)), "epoch": "7"} | metadata
        body = gzip.compress(b"".join(text(line) for _, line in lines))
        self.stack.session.client("s3").put_object(Bucket=self.stack.bucket, Key=key, Body=body, Metadata=reported)


def text(line: dict[str, Any]) -> bytes:
    head = json.dumps({name: value for name, value in line.items() if name != "payload"})[:-1]
    return f'{head},"payload":{line["payload"] or "null"}}}\n'.encode()


@pytest.fixture
def world(stack: Deployed, tmp_path: Path) -> Iterator[World]:
    number = int(datetime.now(UTC).timestamp() * 1_000_000)
    device = f"d{number}"
    messages = [single(Measurement(device, START + i, f"{40 + i}.5"), number + i, "humidity") for i in range(6)]
    messages.append(single(Measurement(device, START + 5, "39.0"), number + 6, "humidity", repeats=True))
    messages += [malformed(device, number + 7, kind=0, binary=True), malformed(device, number + 8, kind=3, binary=True)]
    made = World(Stack.load(stack.session, stack.name), tmp_path / "ledger", messages)
    made.publish()
    yield made
    s3 = stack.session.client("s3")
    for item in s3.list_objects_v2(Bucket=made.stack.bucket).get("Contents", []):
        s3.delete_object(Bucket=made.stack.bucket, Key=item["Key"])


def judged(world: World) -> AuditResult:
    world.write()
    return audit(world.stack, world.ledger)


def test_a_faithful_copy_is_clean(world: World) -> None:
    report = judged(world)
    assert report.findings == {}
    wanted = {"published": 9, "stream_records": 9, "archived": 9, "rows_expected": 6, "rows": 6, "superseded": 1}
    assert report.counts | wanted | {"dead_letters_expected": 2, "dead_letters": 2} == report.counts
    assert report.as_text().endswith("clean")


def test_dead_letters_of_a_replaced_object_and_undeliverable_records_are_no_finding(world: World) -> None:
    world.write()
    s3, bucket = world.stack.session.client("s3"), world.stack.bucket
    (key, *_) = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="readings/")["Contents"]]
    archived = s3.get_object(Bucket=bucket, Key=key)
    earlier = archived["Metadata"] | {"epoch": "6"}
    name = key.replace("readings/", "dead-letters/")
    body = archived["Body"].read()
    s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata=earlier)
    broken = gzip.compress(undeliverable_line(b"\xf3\x89\x9a\xc2broken"))
    s3.put_object(Bucket=bucket, Key=f"{UNDELIVERABLE}abc.ndjson.gz", Body=broken)
    report = audit(world.stack, world.ledger)
    assert (report.findings, report.counts["dead_letters"]) == ({}, 2)
    s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata=archived["Metadata"])  # as if they were its own
    assert list(audit(world.stack, world.ledger).findings) == ["dead_letter_unexpected"]


def drop_line(world: World, number: int) -> None:
    del world.lines[number]


def drop_row(world: World, number: int) -> None:
    world.rows.popitem()


def older_value(world: World, number: int) -> None:
    """The row of the reading that the later one must have replaced."""
    reading = world.messages[5].rows[0]
    world.rows[reading.device, iso_utc(reading.time_ms)] = reading.value


def other_payload(world: World, number: int) -> None:
    world.lines[number]["payload"] += " "


def write_twice(world: World, number: int) -> None:
    world.twice.add(number)


def drop_dead_letter(world: World, number: int) -> None:
    world.dead.pop()


def extra_dead_letter(world: World, number: int) -> None:
    world.dead.add(number)


def other_reason(world: World, number: int) -> None:
    world.lines[max(world.dead)]["rejects"][0]["reason"] = "wrong-type"


def wrong_metadata(world: World, number: int) -> None:
    world.metadata["records"] = "77"


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (drop_line, {"archive_missing"}),
        (drop_row, {"row_missing"}),
        (older_value, {"row_different"}),
        (other_payload, {"archive_different"}),
        (write_twice, {"archive_duplicates", "archive_object_overlap"}),
        (drop_dead_letter, {"dead_letter_missing"}),
        (extra_dead_letter, {"dead_letter_unexpected"}),
        (other_reason, {"reject_different"}),
        (wrong_metadata, {"archive_object_wrong"}),
    ],
)
def test_every_fault_is_found_at_its_place(world: World, spoil: Callable[[World, int], None], kinds: set[str]) -> None:
    number = world.messages[1].number
    spoil(world, number)
    report = judged(world)
    assert set(report.findings) == kinds
    assert all(finding.places for finding in report.findings.values())
    assert not report.as_json()["ok"]


def test_a_row_of_measures_at_its_arrival_and_a_re_encoded_message_are_compared(world: World) -> None:
    number, arrival = world.messages[-1].number + 1, int(datetime.now(UTC).timestamp() * 1000)
    row = Measurement(f"m{number}", ARRIVAL, "", measures={"t": "1.50", "u": "7"})
    world.messages = [Message(number, row.device, b'{"message": "#%d", "t": 1.50, "u": 7}' % number, (row,))]
    world.publish(through_rules=True)
    respelled = f'{{"u":7.0,"message":"#{number}","t":1.5}}'
    world.lines[number] |= {"payload": respelled, "arrival": arrival}
    assert set(judged(world).findings) == {"row_missing"}

    def with_measures(t: str) -> AuditResult:
        measures: Any = {"M": {"u": {"N": "7"}, "t": {"N": t}}}
        item: Any = {"SensorId": {"S": row.device}, "Timestamp": {"S": iso_utc(arrival)}, "Measures": measures}
        world.stack.session.client("dynamodb").put_item(TableName=world.stack.table, Item=item)
        return judged(world)

    assert with_measures("1.5").findings == {}
    assert (
        with_measures("1.6")
        .findings["row_different"]
        .places[0]
        .startswith(f"{row.device} {iso_utc(arrival)} is t=1.6 u=7, the latest is t=1.5 u=7 ")
    )
    with_measures("1.5")
    world.lines[number]["payload"] = respelled.replace("1.5", "1.51")
    assert set(judged(world).findings) == {"archive_different"}


def test_a_torn_object_is_reported_with_its_key(world: World) -> None:
    world.write()
    s3 = world.stack.session.client("s3")
    key = s3.list_objects_v2(Bucket=world.stack.bucket, Prefix="readings/")["Contents"][0]["Key"]
    body = s3.get_object(Bucket=world.stack.bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=world.stack.bucket, Key=key, Body=body[:-20])
    report = audit_archive(world.stack, Span(), with_stream=False)
    assert key in report.findings["archive_object_wrong"].places[0]
    assert "unreadable" in report.findings["archive_object_wrong"].places[0]


def test_alerts_are_counted_at_the_subscriber(world: World) -> None:
    low = single(Measurement("dry", START, "20", quoted=True), world.messages[-1].number + 1, "humidity")
    subscriber = Subscriber.subscribe(world.stack, alerts_file(world.ledger))
    try:
        at = int(datetime.now(UTC).timestamp() * 1000)
        with Ledger(world.ledger) as book:
            uncertain = entry(low, at, ack=False, attempts=1, condition=ANY_AGE, through_rules=True)
            book.record(uncertain)  # nothing is expected
            assert judged(world).ok
            book.record(entry(low, at, ack=True, attempts=1, condition=ANY_AGE, through_rules=True))
        finding = audit(world.stack, world.ledger).findings["alert_missing"]
        assert finding.places == ["dry value 20: 1 expected, 0 received"]
        attributes = {
            name: {"DataType": "String", "StringValue": text} for name, text in (("device", "dry"), ("value", "20"))
        }
        world.stack.session.client("sns").publish(
            TopicArn=world.stack.alert_topic, Message="an e-mail's text", MessageAttributes=attributes
        )
        subscriber.drain()
        assert "alert_missing" not in audit(world.stack, world.ledger).findings
    finally:
        unsubscribe(world.stack)
    assert Subscriber.existing(world.stack, alerts_file(world.ledger)) is None


RULES = [
    {"name": "dry", "devices": "fern*", "threshold": 10},
    {"name": "dry", "cooldown": 30},
    {"name": "very-dry", "threshold": 5},
    {"name": "gone", "silent": 2, "interval": 10},
    {"name": "falling", "change": 1},
]


def test_with_a_policy_devices_beyond_a_rules_threshold_must_have_an_episode(world: World, emulator: Emulator) -> None:
    policy = json.dumps({"rules": RULES})
    rig = Rig(emulator.endpoint, policy)
    stack = replace(world.stack, alert_table=rig.names["alerts"], alert_policy=policy)
    at = int(datetime.now(UTC).timestamp() * 1000)
    with Ledger(world.ledger) as book:
        for i, (device, value) in enumerate([("aloe", "20"), ("aloe", "19"), ("basil", "4"), ("fern1", "12")]):
            low = single(Measurement(device, START, value, quoted=True), world.messages[-1].number + 1 + i, "humidity")
            book.record(entry(low, at, ack=True, attempts=1, condition=ANY_AGE, through_rules=True))

    def missing() -> list[str]:
        report = audit(stack, world.ledger)
        assert "alert_missing" not in report.findings
        found = report.findings["alert_episode_missing"].places if "alert_episode_missing" in report.findings else []
        assert (report.counts["alerts_expected"], report.counts["alerts"]) == (3, 3 - len(found))
        return found

    rig.now = at - 86_400_000
    rig.reading("aloe", 20)
    rig.now += 60_000
    rig.row("aloe", 50)
    minute.run(rig.function())  # an episode of yesterday, which is over
    every = [f"{device} under the rule {rule}" for device, rule in (("aloe", "dry"), ("basil", "dry"))]
    assert missing() == [*every, "basil under the rule very-dry"]
    rig.now = at
    rig.reading("basil", 4)
    assert missing() == every[:1]
    rig.reading("aloe", 19)
    assert missing() == []


def test_the_latency_probe_measures_until_the_row_is_there(world: World) -> None:
    latency_probe = LatencyProbe(world.stack)
    try:
        latency_probe.offer(world.messages[0], int(datetime.now(UTC).timestamp() * 1000) - 5000)
        assert latency_probe.open == 1
        assert latency_probe.percentile(0.5) is None
        world.write()
        for _ in range(1000):
            if latency_probe.open == 0:
                break
            latency_probe._stop.wait(0.01)
        assert 5000 <= (latency_probe.percentile(0.5) or 0) < 15_000
    finally:
        latency_probe.close()
