"""The daemon's settings and command; its process with a stand-in for java."""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.kcl import daemon as daemon_module
from consumer.kcl import daemon_config
from consumer.kcl.daemon import Daemon
from consumer.kcl.daemon_config import OWN_CLASSES, jars, java_command, kcl_properties
from consumer.kcl.daemon_log import SKIPPED, BatchSkipped
from consumer.settings import Settings

REQUIRED = {
    "STREAM_NAME": "readings",
    "SENSOR_TABLE": "SensorDataTable",
    "ARCHIVE_BUCKET": "archive",
    "AWS_REGION": "eu-west-3",
    "WORKER_ID": "arn:aws:ecs:eu-west-3:123456789012:task/c/0123",
}
SKIPPED_LINE = f"WARN\tsoftware.amazon.kinesis.{SKIPPED[0][0]}\tjava.lang.Error\tshardId-0: {SKIPPED[0][1]}"


def properties(**settings: str) -> dict[str, str]:
    """What Java reads in the rendered file."""
    text = kcl_properties(Settings.load({**REQUIRED, **settings}))
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    found = dict(line.split(" = ", 1) for line in lines)
    assert len(found) == len(lines), "a property stands twice"
    return found


def test_the_properties_carry_the_settings() -> None:
    found = properties(FAILOVER_SECONDS="15", MAX_RECORDS="700", POLL_MILLIS="300", SHUTDOWN_SECONDS="45")
    assert found == {
        "executableName": "/bin/sh ./connector.sh",
        "processingLanguage": "python",
        "streamName": "readings",
        "applicationName": "readings-consumer",
        "regionName": "eu-west-3",
        "AwsCredentialsProvider": "ContainerCredentialsProvider",
        "workerId": REQUIRED["WORKER_ID"],
        "initialPositionInStream": "TRIM_HORIZON",
        "retrievalMode": "POLLING",
        "maxRecords": "700",
        "idleTimeBetweenReadsInMillis": "300",
        "callProcessRecordsEvenForEmptyRecordList": "true",
        "failoverTimeMillis": "15000",
        "shutdownGraceMillis": "45000",
        "timeoutInSeconds": "3600",
        "metricsLevel": "NONE",
        "shardSyncIntervalMillis": "1",
    }


def test_by_default_a_full_shard_catches_up_at_five_times_its_rate() -> None:
    """1,000 records a second come into a shard; the pause is counted from question to question (test_polling)."""
    found = properties()
    rate = int(found["maxRecords"]) / int(found["idleTimeBetweenReadsInMillis"]) * 1000
    assert rate >= 5 * 1000


def test_a_start_time_is_in_whole_seconds() -> None:
    found = properties(INITIAL_POSITION="AT_TIMESTAMP:2026-11-22T10:48:16.900+01:00")
    assert found["initialPositionInStreamExtended"] == "1795340896"
    assert "initialPositionInStream" not in found


def test_each_service_has_its_endpoint() -> None:
    found = properties(AWS_ENDPOINT_URL="http://localhost:4566", AWS_ENDPOINT_URL_DYNAMODB="http://localhost:8000")
    assert found["kinesisEndpoint"] == "http://localhost:4566"
    assert found["dynamoDBEndpoint"] == "http://localhost:8000"


def test_a_fast_start_shortens_the_rounds() -> None:
    assert properties(FAST_START="true").keys() - properties().keys() == {
        "leaseAssignmentIntervalMillis",
        "inMemoryWorkerMetricsCaptureFrequencyMillis",
        "parentShardPollIntervalMillis",
    }


def test_every_property_is_one_the_kcl_knows() -> None:
    """The KCL ignores a misspelt property; its setters stand in its class files."""
    known = ""
    for path in jars().glob("amazon-kinesis-client-multilang-*.jar"):
        with zipfile.ZipFile(path) as jar:
            for entry in jar.namelist():
                if "/multilang/" in entry and entry.endswith(".class"):
                    known += jar.read(entry).decode("latin-1")
    found = properties(FAST_START="true", AWS_ENDPOINT_URL="http://localhost:1")
    found |= properties(INITIAL_POSITION="AT_TIMESTAMP:2026-11-22T10:48:16Z")
    for name in found:
        setter = f"set{name[0].upper()}{name[1:]}"
        assert setter in known or name in known, name


def test_the_command_has_the_flags_that_keep_records_safe() -> None:
    command = java_command(Path("/opt/java"), 192)
    assert command[0] == "/opt/java"
    assert "-Xmx192m" in command
    assert "-XX:+ExitOnOutOfMemoryError" in command
    assert "-Dfile.encoding=UTF-8" in command
    class_path = command[command.index("-cp") + 1].split(":")
    assert class_path == [str(OWN_CLASSES), f"{jars()}/*"]
    with zipfile.ZipFile(OWN_CLASSES) as jar:
        assert "javax/xml/bind/DatatypeConverter.class" in jar.namelist()


Make = Callable[[str], Daemon]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A daemon whose java is a shell script."""

    def with_java(script: str) -> Daemon:
        java = tmp_path / "java"
        java.write_text(f"#!/bin/sh\n{script}\n")
        java.chmod(0o755)
        settings = Settings.load(REQUIRED)
        return Daemon(settings, java, tmp_path / "s.sock", tmp_path / "run dir", dict)

    return with_java


async def test_the_exit_code_is_reported_and_the_log_read_to_its_end(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = make("echo to stdout; echo to stderr >&2; exit 7")
    await daemon.start()
    assert await daemon.wait() == 7
    assert await daemon.wait() == 7
    assert daemon.pid is None
    daemon.terminate()
    daemon.kill()
    daemon.drain_log()
    assert {"to stdout", "to stderr"} <= set(caplog.messages)


async def test_it_runs_in_its_folder_with_a_session_of_its_own(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    daemon = make('pwd; ps -o sid= -p $$; echo "$AWS_REGION $LC_ALL"; cat kcl.properties connector.sh')
    await daemon.start()
    pid = daemon.pid
    await daemon.wait()
    folder, session, environment, *_ = caplog.messages
    assert folder.endswith("/run dir")
    assert int(session) == pid
    assert environment == "eu-west-3 C.UTF-8"
    assert "streamName = readings" in caplog.messages
    assert re.fullmatch(r"exec .*python\S* -I -S \S+/consumer/kcl/connector.py \S+/s.sock", caplog.messages[-1])


async def test_a_skipped_batch_is_seen_by_a_drain_before_the_loop_runs_again(make: Make) -> None:
    daemon = make(f"printf '{SKIPPED_LINE}\n'; echo >&2; exec sleep 1000")
    await daemon.start()
    out, err = daemon._pipes
    select.select([err], [], [], 30)  # blocks the loop on purpose: only drain_log can have read
    assert not daemon._log.skipped
    with pytest.raises(BatchSkipped, match="Caught exception from handleInput"):
        daemon.drain_log()
    assert out in daemon._pipes
    assert await daemon.wait() == -signal.SIGKILL
    with pytest.raises(BatchSkipped):
        daemon.drain_log()


async def test_a_skipped_batch_kills_an_idle_daemon_and_a_new_start_forgets_it(make: Make) -> None:
    daemon = make(f"printf '{SKIPPED_LINE}\n'; exec sleep 1000")
    await daemon.start()
    assert await daemon.wait() == -signal.SIGKILL
    with pytest.raises(BatchSkipped):
        daemon.drain_log()
    make("exit 0")
    await daemon.start()
    daemon.drain_log()
    assert await daemon.wait() == 0
    daemon.drain_log()


async def test_long_lines_pass_a_full_pipe(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    daemon = make("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after")
    await daemon.start()
    assert await daemon.wait() == 0
    assert caplog.messages == ["x" * 2000, "after"]


async def test_sigterm_reaches_java_alone_and_sigkill_the_whole_group(make: Make) -> None:
    daemon = make("trap 'exit 3' TERM; sleep 1000 & echo ready >&2; wait")
    await daemon.start()
    _, err = daemon._pipes
    await asyncio.to_thread(select.select, [err], [], [], 30)
    daemon.terminate()
    assert await daemon.wait() == 3


@pytest.mark.parametrize("death_signal", [True, False])
def test_java_dies_with_a_service_that_is_killed(tmp_path: Path, make: Make, death_signal: bool) -> None:
    """By the kernel's signal, and in the way of systems that have none."""
    make("exec sleep 1000")
    program = f"""
import asyncio
from pathlib import Path
from consumer.kcl import daemon
from consumer.kcl.daemon import Daemon
from consumer.settings import Settings

daemon.DEATH_SIGNAL = {death_signal}

async def main():
    folder = Path({str(tmp_path)!r})
    daemon = Daemon(Settings.load({REQUIRED!r}), folder / "java", folder / "s", folder / "run", dict)
    await daemon.start()
    print(daemon.pid, flush=True)
    await daemon.wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        java = os.pidfd_open(int(service.stdout.readline()))
        service.kill()
        ended, _, _ = select.select([java], [], [], 30)
        assert ended
        os.close(java)


async def test_without_a_death_signal_the_guard_ends_with_java(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "DEATH_SIGNAL", False)
    daemon = make("read line && exit 9; exit 7")  # its standard input is empty
    await daemon.start()
    group = daemon.pid
    assert group
    assert await daemon.wait() == 7
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.01)  # init collects the guard


def test_no_jars_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_config, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="amazon_kclpy"):
        jars()
