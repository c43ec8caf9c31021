"""Faults of the machine that a worker runs on: its memory, its disk, its clock. Some need root, or a compiler."""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

from tests.faults.bench import Bench, NotHeld
from tests.faults.case import IN_PLACE, Case
from tests.faults.process_cases import kill_daemon
from tests.faults.stream_cases import large_records
from tests.faults.worker import group as group_of

MEMORY = Path("/sys/fs/cgroup/memory")  # of the first version of control groups
TASK_MB = 512
"""The memory of the smallest task that the service is meant for."""
FULL_MB = 2
STEP_SECONDS = 5

HOG = """
held = []
while True:
    held.append(b"x" * (1 << 22))
"""


def needs_cgroup() -> str | None:
    if os.geteuid() == 0 and (MEMORY / "memory.limit_in_bytes").exists():
        return None
    return "needs root and the memory controller of control groups, first version"


def needs_mount() -> str | None:
    return None if os.geteuid() == 0 and sys.platform == "linux" else "needs root, to mount a small disk"


def needs_compiler() -> str | None:
    return None if shutil.which("cc") and sys.platform == "linux" else "needs a C compiler (cc)"


def _elsewhere(bench: Bench, launcher: list[str], env: dict[str, str]) -> None:
    """The worker starts again, gracefully, in other surroundings."""
    bench.spoiled = True
    worker = bench.worker
    worker.stop()
    worker.launcher, worker.env = launcher, {**worker.env, **env}
    worker.start()
    bench.until("all shards served", bench.all_served, 60)


def _limited(bench: Bench) -> Path:
    """Puts the worker into a control group with the memory of a task; returns the group's folder."""
    group = MEMORY / f"sensorstream-faults-{os.getpid()}"
    group.mkdir()
    bench.resources.callback(_remove, group)
    bench.resources.callback(bench.worker.stop)
    (group / "memory.limit_in_bytes").write_text(str(TASK_MB << 20))
    _elsewhere(bench, _into(group), {})
    return group


def _into(group: Path) -> list[str]:
    return ["/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', str(group / "cgroup.procs")]


def _remove(group: Path) -> None:
    """Its last processes may be about to end."""
    for _ in range(100):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _killed(group: Path) -> int:
    """How many processes of the group the kernel has killed for its memory."""
    words = (group / "memory.oom_control").read_text().split()
    return int(words[words.index("oom_kill") + 1])


@contextmanager
def memory_limit(bench: Bench) -> Iterator[None]:
    """The largest records within the memory of a task: it must be enough."""
    group = _limited(bench)
    with large_records(bench):
        yield
    if _killed(group):
        raise NotHeld(f"killed for its memory, with {TASK_MB} MiB")


@contextmanager
def out_of_memory(bench: Bench) -> Iterator[None]:
    """A neighbour in the same task takes all memory until the kernel kills the worker's daemon."""
    group = _limited(bench)
    daemon = bench.worker.daemon()
    Path(f"/proc/{daemon}/oom_score_adj").write_text("1000")  # the first to go; anybody may offer more of his own
    hog = subprocess.Popen([*_into(group), sys.executable, "-c", HOG])
    try:
        bench.until("the kernel killed the daemon", lambda: not group_of(daemon), 60)
    finally:
        hog.kill()
        hog.wait()
    yield


def _small_disk(bench: Bench) -> Path:
    """Puts the worker's RUN_DIR on a disk of its own; returns the disk's folder."""
    disk = Path(tempfile.mkdtemp(prefix="sensorstream-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL_MB}m", "tmpfs", disk], check=True)
    bench.resources.callback(disk.rmdir)
    bench.resources.callback(lambda: subprocess.run(["umount", disk], check=True))
    bench.resources.callback(bench.worker.stop)
    _elsewhere(bench, [], {"RUN_DIR": str(disk / "run")})
    return disk


@contextmanager
def full_disk(bench: Bench) -> Iterator[None]:
    """No byte is left, and just then the daemon has to be started again."""
    filler = _small_disk(bench) / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with kill_daemon(bench):
        yield
    filler.unlink()


@contextmanager
def read_only_disk(bench: Bench) -> Iterator[None]:
    disk = _small_disk(bench)
    # Over itself: the service's lock file is open for writing, so the mount that it came from cannot be changed.
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
    try:
        with kill_daemon(bench):
            yield
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def clock_back(bench: Bench) -> Iterator[None]:
    """The wall clock of service and daemon is stepped back, and later forward again."""
    folder = Path(bench.resources.enter_context(tempfile.TemporaryDirectory(prefix="sensorstream-clock-")))
    bench.resources.callback(bench.worker.stop)
    library, step = folder / "clock.so", folder / "step"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("clock.c")], check=True)
    step.write_bytes(struct.pack("q", 0))
    _elsewhere(bench, [], {"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)})
    _write(step, -1000 * STEP_SECONDS)
    with urllib.request.urlopen(f"{bench.worker.url}/metrics", timeout=5) as answer:  # noqa: S310 - own address
        behind = time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    if behind < STEP_SECONDS - 1:
        raise NotHeld(f"the service's clock is {behind:.1f} s behind, not {STEP_SECONDS}")
    yield
    _write(step, 0)


def _write(step: Path, millis: int) -> None:
    with step.open("r+b") as file:
        file.write(struct.pack("q", millis))


CASES = (
    Case("memory-limit", memory_limit, possible=needs_cgroup, drain=120),
    Case("out-of-memory", out_of_memory, possible=needs_cgroup),
    Case("full-disk", full_disk, seconds=10, within=2 * IN_PLACE, possible=needs_mount),
    Case("read-only-disk", read_only_disk, seconds=10, within=2 * IN_PLACE, possible=needs_mount),
    Case("clock-back", clock_back, seconds=15, possible=needs_compiler),
)
