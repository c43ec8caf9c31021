"""What this project asks of CloudFormation: how a stack is, what a change would do, and to bring the change about."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.changes import Change, Values, changes

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

POLL_SECONDS = 2.0
UNCHANGED = ("didn't contain changes", "No updates are to be performed")
# Statuses of a stack that holds nothing worth keeping and cannot be updated: its creation failed, or never began.
NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS")


class DeployError(Exception):
    """Why the stack is not as asked for, in one line."""


class InputError(DeployError):
    """What was asked for cannot be; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A step of a stack, or of one of its resources."""

    resource: str
    status: str
    reason: str
    kind: str = ""
    stack: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """A stack as it is now."""

    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


OnEvent = Callable[[Event], None]
OnPlan = Callable[[str, list[Change]], None]


def state(client: "CloudFormationClient", stack: str) -> State | None:
    """None when there is no such stack."""
    try:
        [found] = client.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return State(
        found["StackStatus"],
        {p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
        {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])},
    )


def outputs(session: boto3.Session, stack: str) -> dict[str, str]:
    """Outputs of an existing stack; ClientError when there is none."""
    [found] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


class Stack:
    """One stack. `common` goes with every request that changes it: tags, and the role that CloudFormation takes."""

    def __init__(
        self,
        client: "CloudFormationClient",
        name: str,
        on_event: OnEvent,
        poll_seconds: float = POLL_SECONDS,
        common: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._tell = on_event
        self._poll = poll_seconds
        self._common: Any = {"Capabilities": ["CAPABILITY_IAM"], **(common or {})}
        self._seen: set[str] = set()

    def apply(self, template: Mapping[str, str], parameters: Mapping[str, str], on_plan: OnPlan) -> None:
        """Create or update, and wait for the end. Parameters that are not given keep their values.

        `on_plan` is told an update's changes before it begins. What is under way already is waited for.
        """
        now = self.committed()
        if now is not None and now.status in NEVER_MADE:
            self.delete()
            now = None
        if now is None:
            request: Any = {**template, "StackName": self.name, "Parameters": _given(parameters)}
            # What a failed creation made goes away again, the table and the bucket too: they are empty.
            self._client.create_stack(**request, **self._common, RetainExceptOnCreate=True)
            self._wait()
            return
        change_set = self._change_set(template, _given(parameters, self._kept(template, now)))
        if change_set is None:
            return
        on_plan(self.name, self._changes(change_set, _changed(parameters, now)))
        self._see()
        self._client.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        self._wait()

    def plan(self, template: Mapping[str, str], parameters: Mapping[str, str]) -> list[Change]:
        """What `apply` would do, found by a change set that is taken away again."""
        now = self.committed()
        new = now is None or now.status in NEVER_MADE
        kept = frozenset() if now is None or new else self._kept(template, now)
        change_set = self._change_set(template, _given(parameters, kept), "CREATE" if new else "UPDATE")
        if change_set is None:
            return []
        planned = self._changes(change_set, _changed(parameters, now))
        if new:
            self.delete()  # a change set for a stack that is not there makes an empty one
        else:
            self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        return planned

    def committed(self) -> State | None:
        """How the stack is as soon as nothing is under way; None when there is none."""
        told = False
        while True:
            now = state(self._client, self.name)
            if now is None or not now.status.endswith("_IN_PROGRESS") or now.status == "REVIEW_IN_PROGRESS":
                return now
            if not told:
                told = True
                self._tell(Event(self.name, now.status, "already under way: waiting for its end", stack=self.name))
            time.sleep(self._poll)

    def delete(self) -> None:
        """Delete and wait for the end; nothing happens when there is no such stack."""
        try:
            [found] = self._client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return
            raise
        self._see()
        role = {name: value for name, value in self._common.items() if name == "RoleARN"}
        self._client.delete_stack(StackName=self.name, **role)
        self._wait(found["StackId"])  # a deleted stack is known by its id only
        self._seen.clear()

    def _kept(self, template: Mapping[str, str], now: State) -> Set[str]:
        """Parameters of the template that have a value already."""
        return declared(self._client, template).keys() & now.parameters.keys()

    def _change_set(self, template: Mapping[str, str], parameters: Any, kind: str = "UPDATE") -> str | None:
        """Name of a change set that can be executed; None when nothing would change."""
        name = f"deploy-{uuid.uuid4().hex[:12]}"
        request: Any = {**template, "StackName": self.name, "ChangeSetName": name, "ChangeSetType": kind}
        self._client.create_change_set(**request, **self._common, Parameters=parameters)
        while True:
            found = self._client.describe_change_set(StackName=self.name, ChangeSetName=name)
            if found["Status"] == "CREATE_COMPLETE":
                return name
            if found["Status"] == "FAILED":
                self._client.delete_change_set(StackName=self.name, ChangeSetName=name)
                reason = found.get("StatusReason", "")
                if any(text in reason for text in UNCHANGED):
                    return None
                raise DeployError(f"stack {self.name}: the change set failed: {reason}")
            time.sleep(self._poll)

    def _changes(self, change_set: str, parameters: Values) -> list[Change]:
        describe = self._client.get_paginator("describe_change_set")
        asked: Any = {"StackName": self.name, "ChangeSetName": change_set, "IncludePropertyValues": True}
        pages = describe.paginate(**asked)
        return changes((found["ResourceChange"] for page in pages for found in page.get("Changes", [])), parameters)

    def _history(self, stack: str | None = None) -> Iterator[Any]:
        """All events of the stack, the newest first."""
        for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack or self.name):
            yield from page["StackEvents"]

    def _see(self) -> None:
        """What has happened so far is no news."""
        self._seen = {event["EventId"] for event in self._history()}

    def _wait(self, stack: str | None = None) -> None:
        """Tell events as they come until the stack is at rest; DeployError when that is not where it was to go."""
        failure = None
        while True:
            now = state(self._client, stack or self.name)
            status = now.status if now else "DELETE_COMPLETE"
            for event in self._news(stack):
                self._tell(event)
                if failure is None and event.status.endswith("_FAILED") and "cancelled" not in event.reason:
                    failure = event
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
                return
            if not status.endswith("_IN_PROGRESS"):
                cause = f"{failure.resource} {failure.status}: {failure.reason}" if failure else "no reason was given"
                raise DeployError(f"stack {self.name} ended as {status}: {cause}")
            time.sleep(self._poll)

    def _news(self, stack: str | None) -> list[Event]:
        """Events that were not told yet, the oldest first."""
        fresh = [event for event in self._history(stack) if event["EventId"] not in self._seen]
        self._seen.update(event["EventId"] for event in fresh)
        return [
            Event(
                found["LogicalResourceId"],
                found["ResourceStatus"],
                " ".join(found.get("ResourceStatusReason", "").split()),
                found.get("ResourceType", ""),
                self.name,
            )
            for found in reversed(fresh)
        ]


def declared(client: "CloudFormationClient", template: Mapping[str, str]) -> dict[str, str]:
    """Names of a template's parameters, with their defaults ("" also where there is none)."""
    request: Any = template
    return {p["ParameterKey"]: p.get("DefaultValue", "") for p in client.get_template_summary(**request)["Parameters"]}


def _given(parameters: Mapping[str, str], known: Set[str] = frozenset()) -> Any:
    """Parameters of a request; those `known` that are not given keep their values."""
    given: list[Any] = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    return given + [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(known - parameters.keys())]


def _changed(parameters: Mapping[str, str], now: State | None) -> dict[str, tuple[str, str]]:
    """Old and new values of the parameters that get another one."""
    old = now.parameters if now else {}
    return {name: (old[name], value) for name, value in parameters.items() if name in old and old[name] != value}
