"""What is wrong with a deployment, or with who looks at it, before anything is built on it: `producer doctor`.

Each check asks AWS in the cheapest way and tries what the operator's commands need; nothing is changed. Only `--probe`
publishes (producer/ops/rule_probes.py). A finding names its remedy.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3

from producer.aws.errors import UserError, explain_if_aws
from producer.aws.stack import Stack

State = Literal["ok", "finding", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `remedy` is there for a finding only."""

    name: str
    state: State
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        found = {"name": self.name, "state": self.state, "detail": self.detail}
        return found | ({"remedy": self.remedy} if self.remedy else {})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks in their order; `ok` when there is no finding."""

    checks: list[Check]

    @property
    def ok(self) -> bool:
        return not any(check.state == "finding" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"checks": [check.as_json() for check in self.checks], "ok": self.ok}

    def as_text(self) -> str:
        width = max(len(check.name) for check in self.checks)
        marks = {"ok": "ok     ", "finding": "FINDING", "skipped": "skipped"}
        lines = []
        for check in self.checks:
            lines.append(f"{marks[check.state]}  {check.name:<{width}}  {check.detail}")
            if check.remedy:
                lines.append(f"{'':<{width + 11}}-> {check.remedy}")
        count = sum(check.state == "finding" for check in self.checks)
        summary = "nothing found" if not count else f"{count} finding{'s' if count > 1 else ''}"
        return "\n".join([*lines, "", summary])


Ask = Callable[[], Iterator[Check]]


def is_local() -> bool:
    """Whether AWS is an emulator, which has no metrics of AWS's services and runs no tasks."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def guarded(name: str, remedy: str, ask: Ask) -> Iterator[Check]:
    """The checks of one part; an error of AWS or of the configuration is a finding of that part."""
    try:
        yield from ask()
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        yield Check(name, "finding", line, remedy)


def explained(error: Exception) -> str | None:
    """A line for what a person can mend; None for a defect of ours."""
    return str(error) if isinstance(error, UserError) else explain_if_aws(error)


def examine(session: boto3.Session, name: str, probe: bool) -> Diagnosis:
    """All checks of the deployment `name`; stops where nothing more can be asked."""
    from producer.ops import checks
    from producer.ops import rule_probes as probes

    found = list(
        guarded("identity", "log in, or set AWS_PROFILE to the operator's role", lambda: checks.identity(session))
    )
    if found[-1].state == "finding" and len(found) == 1:
        return Diagnosis(found)
    try:
        stack = Stack.load(session, name)
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        role = "take on the stack's operator role"
        remedy = "deploy it (docs/deploy.md), or name another" if isinstance(error, UserError) else role
        return Diagnosis([*found, Check("stack", "finding", line, remedy)])
    for part, remedy, ask in checks.PARTS:
        found += guarded(part, remedy, lambda ask=ask: ask(stack))  # type: ignore[misc]
    if probe:
        found += guarded("probes", "take on the stack's operator role", lambda: probes.probe(stack))
    else:
        found.append(
            Check("probes", "skipped", "--probe publishes some messages and shows what the rules make of them")
        )
    return Diagnosis(found)
