"""The image as the stack's tasks, against the local stack: read-only, without root, rights or capabilities."""

import json
import time
from pathlib import Path

from consumer.archive.writer import RotationPolicy
from producer.aws.stack import Stack
from producer.compact.layout import CURATED
from tests.component.archives import HOUR, put, records
from tests.image.conftest import GRACE, task
from tests.image.engine import Container, Image
from tests.system.conftest import System, wait_for

PROCESSES = """
import os, pathlib
for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
        number, rest = status.read_text().split(" (", 1)
    except (FileNotFoundError, ProcessLookupError):
        continue
    name, rest = rest.rsplit(") ", 1)
    print(number, name, rest.split()[0])
"""


def processes(container: Container) -> list[tuple[int, str, str]]:
    """Id, name and state of each process inside."""
    rows = [line.split() for line in container.python(PROCESSES).splitlines()]
    return [(int(number), name, state) for number, name, state in rows]


def daemon(container: Container) -> int | None:
    return next((number for number, name, state in processes(container) if name == "java" and state != "Z"), None)


def thousand(system: System, ledger: str, prefix: str) -> None:
    """A thousand readings go in, and come out as they must."""
    load = ["--devices", "10", "--rate", "500", "--for", "2", "--prefix", prefix]
    sums = system.producer("simulate", "--via", "kinesis", *load, "--ledger", ledger)
    assert sums["readings"] >= 1_000
    report = system.producer("audit", "--ledger", ledger, "--wait", "90")
    assert report["ok"]
    assert report["archived"] == sums["published"]


def test_a_thousand_readings_arrive_whole(system: System, service: Container, ledger: str) -> None:
    thousand(system, ledger, "first")


def test_the_service_is_the_first_process(service: Container) -> None:
    assert (1, "python") in [(number, name) for number, name, _ in processes(service)]


def test_a_killed_daemon_comes_back_and_leaves_no_zombie(system: System, service: Container, ledger: str) -> None:
    killed = daemon(service)
    service.python(f"import os, signal; os.kill({killed}, signal.SIGKILL)")
    wait_for(lambda: daemon(service) not in (None, killed), "another daemon")
    thousand(system, ledger, "second")
    wait_for(lambda: not [name for _, name, state in processes(service) if state == "Z"], "end of zombies")


def test_the_simulator_brings_its_devices_and_takes_them_away(
    system: System, service: Container, trust: Path, tools: Image
) -> None:
    family = f"{system.stack.options.name}-simulator"
    found = system.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    command = found["containerDefinitions"][0]["command"]
    environ = task(system, trust, family) | {"IOT_CA_FILE": str(trust / "iot-ca.pem")}
    container = tools.start(environ, trust, [*command, "--for", "5", "--json"])
    try:
        assert container.wait(120) == 0, container.log()
        assert json.loads(container.output())["readings"] >= 1
    finally:
        container.remove()
    assert system.client("iot").list_things()["things"] == []


def test_compaction_makes_an_hour_parquet_and_ends(system: System, trust: Path, tools: Image) -> None:
    family = f"{system.stack.options.name}-compaction"
    found = system.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    stack = Stack.load(system.stack.emulator.session(), system.stack.options.name)
    hours_ago = int(time.time() * 1000) - 5 * HOUR
    payload = b'{"name":"soil","humidity":41.5,"timeStampEpoch":1795604400000}'
    rotation = RotationPolicy(records=100, size=1 << 20, window_ms=HOUR)
    put(stack, records((hours_ago, "soil", payload) for _ in range(100)), rotation)
    container = tools.start(task(system, trust, family), trust, found["containerDefinitions"][0]["command"])
    try:
        assert container.wait(120) == 0, container.log()
    finally:
        container.remove()
    [made] = system.client("s3").list_objects_v2(Bucket=stack.bucket, Prefix=CURATED)["Contents"]
    says = system.client("s3").head_object(Bucket=stack.bucket, Key=made["Key"])["Metadata"]
    assert (says["lines"], says["readings"]) == ("100", "100")


def test_on_sigterm_it_ends_gracefully_in_time(service: Container) -> None:
    """The last one, since it takes the others' container away."""
    assert service.stop(GRACE) == 0, service.log()
