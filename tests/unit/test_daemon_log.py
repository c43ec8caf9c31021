"""The daemon's log: what is fatal, what is handed over, what a device cannot forge, and that the KCL still says so."""

import base64
import hashlib
import itertools
import logging
import re
import xml.etree.ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.kcl.daemon_config import CONFIG, jars
from consumer.kcl.daemon_log import AGGREGATE_MAGIC, GONE, PHASES, SKIPPED, UNDELIVERABLE, DaemonLog, Lines

KCL = "software.amazon.kinesis."


def laid_out(level: str, logger: str, message: str, exception: str = "") -> str:
    """An event as config/logback.xml writes it."""
    flat = re.sub(r"[\n\r\t]+", " ", exception)
    return "\t".join((level, logger, flat, re.sub(r"[\n\r\t]", " ", message)))


def dropped(body: bytes, keys: str = "d\n", sequence: int = 496) -> str:
    """What the KCL logs of an aggregate that it drops; `keys` come out of the record."""
    raw = base64.b64encode(body).decode()
    return f"{UNDELIVERABLE[1]}\nPKS:\n{keys}EHKS: \nSequence number: {sequence}\nRaw data: {raw}\n"


class Read:
    """A DaemonLog with what it handed over."""

    def __init__(self, *lines: str) -> None:
        self.log = DaemonLog()
        self.records = self.log.undeliverable
        for line in lines:
            self.log.line(line)


@pytest.mark.parametrize(("where", "what"), SKIPPED)
def test_an_event_after_which_a_batch_may_be_missing_is_kept(where: str, what: str) -> None:
    read = Read(laid_out("ERROR", KCL + where, f"shardId-000000000000 {what} x", "java.lang.Error: no\n\tat x"))
    assert read.log.skipped is not None
    assert what in read.log.skipped
    assert "java.lang.Error: no at x" in read.log.skipped


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        (KCL + "lifecycle.ShardConsumer", "Previous PROCESS task still pending"),
        (KCL + "lifecycle.InitializeTask", "Caught exception: "),
        (KCL + "coordinator.Scheduler", SKIPPED[0][1]),
        ("com.example", SKIPPED[1][1]),
    ],
)
def test_other_events_are_only_words(logger: str, message: str) -> None:
    assert Read(laid_out("ERROR", logger, message)).log.skipped is None


RNF = "software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException: no such consumer"
FANOUT = "%s: [SubscriptionLifetime] - (FanOutRecordsPublisher#errorOccurred) @ 2026-01-01T12:00:00Z id: %s-9 -- %s."


def test_a_shard_that_kinesis_does_not_know_is_remembered() -> None:
    one, two, three = (f"shardId-00000000000{number}" for number in range(3))
    read = Read(
        laid_out("WARN", KCL + GONE[0][0], FANOUT % (one, one, f"CompletionException/{RNF}")),
        laid_out("WARN", KCL + GONE[0][0], FANOUT % (two, two, "ReadTimeout"), "java.io.IOException"),
        laid_out("INFO", KCL + GONE[1][0], f"{GONE[1][1]} {three}"),
        laid_out("WARN", KCL + "retrieval.Other", FANOUT % (two, two, RNF)),
    )
    assert read.log.gone == {one, three}
    assert read.log.skipped is None
    read = Read(laid_out("INFO", KCL + GONE[2][0], f"{GONE[2][1]} 123:stream:7:{two}"))
    assert read.log.gone == {two}


def test_the_kcl_still_logs_why_a_subscription_failed() -> None:
    assert "[SubscriptionLifetime] - (FanOutRecordsPublisher#errorOccurred)" in constants(GONE[0][0])
    assert "model/ResourceNotFoundException" in constants(GONE[0][0])


def test_a_dropped_aggregate_is_handed_over_with_its_exact_bytes() -> None:
    body = bytes(range(256))
    read = Read(laid_out("ERROR", KCL + UNDELIVERABLE[0], dropped(body), "java.lang.IndexOutOfBoundsException"))
    assert read.records == [AGGREGATE_MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest()]
    assert read.log.skipped is None


def test_a_dropped_aggregate_that_cannot_be_read_is_fatal() -> None:
    read = Read(laid_out("ERROR", KCL + UNDELIVERABLE[0], dropped(b"x") + "and more"))
    assert read.records == []
    assert read.log.skipped is not None


@given(keys=st.text(), body=st.binary(), error=st.text())
def test_what_stands_in_a_record_forges_nothing(keys: str, body: bytes, error: str) -> None:
    forged = laid_out("ERROR", KCL + SKIPPED[0][0], SKIPPED[0][1])
    event = laid_out(
        "ERROR", KCL + UNDELIVERABLE[0], dropped(body, f"{keys}\n{forged}\n{dropped(b'A')}{keys}"), error + forged
    )
    read = Read(*event.split("\n"))
    assert [record[4:-16] for record in read.records] == [body]
    assert read.log.skipped is None


@given(data=st.binary(), cuts=st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    found: list[str] = []
    lines = Lines(found.append)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        lines.feed(data[start:end])
    assert found == [part.decode(errors="replace") for part in data.split(b"\n")[:-1]]


def test_phases_show_the_steps_of_the_start() -> None:
    read = Read()
    assert read.log.phase == "starting Java"
    for logger, message, words in PHASES:
        read.log.line(laid_out("INFO", KCL + logger, message + " 1"))
        assert read.log.phase == words
    read.log.line(laid_out("INFO", KCL + "coordinator.Scheduler", "something else"))
    assert read.log.phase == PHASES[-1][2]


def test_events_are_logged_again_with_their_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "kcl"):
        Read(
            laid_out("WARN", KCL + "coordinator.Scheduler", "careful", "a.B: c"),
            "Terminating due to java.lang.OutOfMemoryError: Java heap space",
            "",
        )
    first, second = caplog.records
    assert (first.levelno, first.getMessage()) == (logging.WARNING, "careful")
    assert first.__dict__["source"] == "coordinator.Scheduler"
    assert first.__dict__["exception"] == "a.B: c"
    assert (second.levelno, second.getMessage()[:11]) == (logging.WARNING, "Terminating")


def test_logback_writes_the_four_fields() -> None:
    root = xml.etree.ElementTree.parse(CONFIG / "logback.xml").getroot()  # noqa: S314  # our own file
    pattern = root.findtext("appender/encoder/pattern")
    assert pattern is not None
    assert pattern.count(r"\t%") == 3
    assert pattern.endswith(r"\n")
    assert root.find("root") is not None


def kcl_jars() -> Iterator[zipfile.ZipFile]:
    for path in sorted(jars().glob("amazon-kinesis-client-[0-9]*.jar")):
        with zipfile.ZipFile(path) as jar:
            yield jar


def constants(logger: str) -> str:
    """The class file of a logger, and of its inner classes, as text; they hold the messages in plain."""
    name = (KCL + logger).replace(".", "/")
    own = re.compile(re.escape(name) + r"(\$.*)?\.class")
    return "".join(
        jar.read(entry).decode("latin-1") for jar in kcl_jars() for entry in jar.namelist() if own.fullmatch(entry)
    )


@pytest.mark.parametrize(
    ("logger", "message"), [*SKIPPED, UNDELIVERABLE, *GONE[1:], *((logger, message) for logger, message, _ in PHASES)]
)
def test_the_kcl_still_uses_these_words(logger: str, message: str) -> None:
    assert message in constants(logger), "the KCL was upgraded: check what it logs when it skips a batch"


@pytest.mark.parametrize("part", ["Sequence number: ", "Raw data: ", "javax/xml/bind/DatatypeConverter"])
def test_the_kcl_still_logs_the_record_that_it_drops(part: str) -> None:
    assert part in constants(UNDELIVERABLE[0])


def test_there_is_one_kcl() -> None:
    assert len(list(kcl_jars())) == 1
    assert isinstance(jars(), Path)


def test_a_repeated_line_is_logged_once_with_its_count_unless_it_matters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    failed: list[tuple[str | None, str, str]] = []
    log = DaemonLog(lambda *found: failed.append(found), lambda: now[0])
    where = KCL + "retrieval.polling.PrefetchRecordsPublisher"
    refused = "software.amazon.awssdk.services.kinesis.model.AccessDeniedException: no (Request ID: %s)\n\tat a.B.c(D)"

    def fail(times: int) -> None:
        for number in range(times):
            message = f"s:shardId-{number % 4:012d} :  Exception thrown while fetching records from Kinesis"
            log.line(laid_out("ERROR", where, message, refused % number))

    fail(1000)
    now[0] = 61
    fail(1)
    assert [record.__dict__.get("repeated") for record in caplog.records] == [None, 999]
    assert len(failed) == 1001
    assert failed[5] == ("shardId-000000000001", "access-denied", "AccessDeniedException: no (Request ID: 5)")
    caplog.clear()
    for _ in range(3):
        log.line(laid_out("ERROR", KCL + SKIPPED[0][0], SKIPPED[0][1]))
        log.line("Terminating due to java.lang.OutOfMemoryError")
    log.flush(end=True)
    assert [record.getMessage() for record in caplog.records].count(SKIPPED[0][1]) == 3
    assert [record.__dict__.get("repeated") for record in caplog.records][-1] == 1
