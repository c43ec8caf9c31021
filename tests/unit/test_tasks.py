"""Why a task ended, from what ECS says of it."""

from infra.deploy.tasks import reason


def test_containers_that_ended_unexpectedly_are_named() -> None:
    task = {
        "stoppedReason": "Essential container in task exited",
        "containers": [{"name": "consumer", "exitCode": 2}, {"name": "other", "exitCode": 0}],
    }
    assert reason(task) == "Essential container in task exited; consumer: exit code 2"


def test_a_containers_own_reason_is_shown_in_one_line() -> None:
    task = {
        "stoppedReason": "CannotPullContainerError",
        "containers": [{"name": "consumer", "reason": "pull failed:\n not found"}],
    }
    assert reason(task) == "CannotPullContainerError; consumer: pull failed: not found"
