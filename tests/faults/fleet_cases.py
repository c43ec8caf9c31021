"""Several workers: one joins, one leaves, one is lost, one wakes up and believes that it still owns its shards."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.bench import SHUTDOWN_SECONDS, Bench, NotHeld, Setup
from tests.faults.case import LEADER_LOST, LEASES_EXPIRE, Case
from tests.faults.worker import Worker

FAILOVER = 10.0
"""The consumer's default FAILOVER_SECONDS."""
PAIR = Setup({"FAST_START": "false"}, workers=2)
"""As in production: rounds of the KCL that a local run would shorten are left as they are."""
HAND_OVER = 60.0


def leader(bench: Bench) -> Worker:
    """The worker that assigns the leases: it holds the KCL's lock."""
    table = bench.local.outputs["ApplicationName"] + "-CoordinatorState"
    item = bench.client("dynamodb").get_item(TableName=table, Key={"key": {"S": "Leader"}})["Item"]
    return next(worker for worker in bench.workers if worker.name == item["ownerName"]["S"])


def follower(bench: Bench) -> Worker:
    return next(worker for worker in bench.workers if worker is not leader(bench))


def share(bench: Bench, worker: Worker, seconds: float = 120) -> None:
    """Returns when the worker owns some of the shards. The KCL balances by load, in its own time."""
    bench.until(f"{worker.name} owns shards", lambda: bool(worker.shards()), seconds)


def give(bench: Bench, to: Worker, shards: list[str]) -> None:
    """Assigns leases as the leader does when it takes them from a worker that does not answer: at once."""
    for shard in shards:
        bench.client("dynamodb").update_item(
            TableName=bench.local.outputs["ApplicationName"],
            Key={"leaseKey": {"S": shard}},
            UpdateExpression="SET leaseOwner = :to ADD leaseCounter :one, ownerSwitchesSinceCheckpoint :one",
            ExpressionAttributeValues={":to": {"S": to.name}, ":one": {"N": "1"}},
        )


def both_own(bench: Bench) -> None:
    """Gives the worker without shards half of them, past the KCL, which would balance in its own time."""
    for worker in bench.workers:
        if not worker.shards():
            give(bench, worker, sorted(bench.open_shards())[: len(bench.open_shards()) // 2])
            share(bench, worker)
    bench.until("all shards served", bench.all_served, HAND_OVER)


@contextmanager
def zombie(bench: Bench) -> Iterator[None]:
    """Paused for three times the time after which its leases are another's; then it goes on where it was."""
    both_own(bench)
    paused = follower(bench)
    mine = paused.shards()
    go_on = paused.pause()
    try:
        time.sleep(3 * FAILOVER)
        other = leader(bench)
        bench.until("the other worker took over", lambda: mine <= other.shards(), 60)
    finally:
        go_on()
    yield


def hand_over(bench: Bench, shards: list[str], old: str, to: str) -> None:
    """Begins hand-overs as the leader does: the old owner is asked to let go at its next renewal."""
    for shard in shards:
        bench.client("dynamodb").update_item(
            TableName=bench.local.outputs["ApplicationName"],
            Key={"leaseKey": {"S": shard}},
            UpdateExpression="SET leaseOwner = :to, checkpointOwner = :old",
            ConditionExpression="leaseOwner = :old AND attribute_not_exists(checkpointOwner)",
            ExpressionAttributeValues={":to": {"S": to}, ":old": {"S": old}},
        )


@contextmanager
def abandoned_hand_over(bench: Bench) -> Iterator[None]:
    """Leases stand between a worker that is lost and one whose daemon was started again under its id, alone. The leader
    of KCL 3.1.3 leaves them to the latter permanently, and that one does not know of them."""
    worker = bench.worker
    daemon = worker.daemon()
    os.kill(daemon, signal.SIGSTOP)
    hand_over(bench, sorted(worker.shards())[:2], worker.name, "lost-long-ago")
    os.kill(daemon, signal.SIGKILL)
    yield


@contextmanager
def live_hand_over(bench: Bench) -> Iterator[None]:
    """The KCL's own way between two that live."""
    old = bench.worker
    joining = bench.add_worker()
    before = taken_over(bench)
    hand_over(bench, sorted(bench.open_shards())[:2], old.name, joining.name)
    yield
    share(bench, joining)
    if taken := taken_over(bench) - before:
        raise NotHeld(f"{taken:g} leases were taken over that no one had lost")


def taken_over(bench: Bench) -> float:
    return sum(worker.metric("sensorstream_leases_taken_over_total") for worker in bench.workers)


@contextmanager
def lost_worker(bench: Bench) -> Iterator[None]:
    """Its machine is gone: it is not restarted."""
    both_own(bench)
    lost = follower(bench)
    lost.kill()
    bench.workers.remove(lost)
    yield


@contextmanager
def lost_leader(bench: Bench) -> Iterator[None]:
    both_own(bench)
    lost = leader(bench)
    lost.kill()
    bench.workers.remove(lost)
    yield


@contextmanager
def rolling_deploy(bench: Bench) -> Iterator[None]:
    """A new worker joins, then the old one is stopped; both are given what a deployment gives them."""
    old = bench.worker
    bench.add_worker()
    old.signal(signal.SIGTERM)
    code = old.join(SHUTDOWN_SECONDS + 5)
    bench.workers.remove(old)
    if code != 0:
        raise NotHeld(f"the old worker ended with exit code {code}")
    yield


@contextmanager
def steal(bench: Bench) -> Iterator[None]:
    """A worker joins and gets half of the shards while the old owner is at work on them."""
    joining = bench.add_worker()
    give(bench, joining, sorted(bench.open_shards())[:2])
    yield
    share(bench, joining)


CASES = (
    Case("zombie", zombie, setup=PAIR, drain=120),
    Case("lost-worker", lost_worker, setup=PAIR, within=LEASES_EXPIRE),
    Case("lost-leader", lost_leader, setup=PAIR, within=LEADER_LOST),
    Case("rolling-deploy", rolling_deploy, setup=Setup({"FAST_START": "false"}), within=LEADER_LOST),
    Case("abandoned-hand-over", abandoned_hand_over, setup=Setup({"FAST_START": "false"}), within=LEADER_LOST),
    Case("live-hand-over", live_hand_over, setup=Setup({"FAST_START": "false"}), within=LEASES_EXPIRE),
    Case("lease-steal", steal, setup=Setup({"FAST_START": "false"}), within=LEASES_EXPIRE),
)
