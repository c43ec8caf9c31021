"""What a person sees of a deployment."""

import pytest

from infra.deploy.changes import Change, Fate, count, table
from infra.deploy.cloudformation import Event
from infra.deploy.progress import Progress

CHANGES = [
    Change("Remove", "Old", "AWS::SQS::Queue"),
    Change("Modify", "Rule", "AWS::IoT::TopicRule", Fate.PERHAPS_REPLACED),
    Change("Modify", "Stream", "AWS::Kinesis::Stream", Fate.REPLACED),
    Change("Modify", "Role", "AWS::IAM::Role"),
    Change("Add", "Alarm", "AWS::CloudWatch::Alarm"),
]


def test_changes_are_counted_with_what_is_replaced() -> None:
    assert count(CHANGES) == "1 to add, 3 to modify (1 replaced, 1 perhaps), 1 to remove"
    assert count(CHANGES[1:2]) == "1 to modify (1 perhaps replaced)"
    assert count([]) == "no resource changes"


def test_what_is_lost_comes_last_and_stands_out() -> None:
    assert table(CHANGES) == [
        "add     Alarm   CloudWatch::Alarm",
        "modify  Role    IAM::Role",
        "modify  Rule    IoT::TopicRule  perhaps replaced: CloudFormation knows only when it does it",
        "modify  Stream  Kinesis::Stream  REPLACED",
        "REMOVE  Old     SQS::Queue",
    ]


def test_a_step_is_a_line_and_a_failure_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for event in (
        Event("Table", "CREATE_IN_PROGRESS", "", "AWS::DynamoDB::Table", "s"),
        Event("Table", "CREATE_COMPLETE", "", "AWS::DynamoDB::Table", "s"),
        Event("Queue", "CREATE_FAILED", "exists already", "AWS::SQS::Queue", "s"),
        Event("s", "ROLLBACK_IN_PROGRESS", "as asked", "AWS::CloudFormation::Stack", "s"),
    ):
        progress.event(event)
    assert [line.partition(" s  ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "created       Table (DynamoDB::Table)",
        "FAILED        Queue (SQS::Queue): exists already",
        "turns back  stack s: as asked",
    ]


def test_a_terminal_shows_what_is_being_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    for name in ("Table", "Queue"):
        progress.event(Event(name, "CREATE_IN_PROGRESS", "", "AWS::X::Y", "s"))
    progress.say("a line above it")
    progress.close()
    shown = capsys.readouterr().out
    assert "waiting for Table, Queue" in shown
    assert shown.index("a line above it") > 0
