"""One CloudFormation stack: how it is, what a change would do, and to bring the change about."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from infra.deploy.changes import Change, changes

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

POLL_SECONDS = 2.0
CHANGE_SET_SECONDS = 600.0
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

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: dict[str, str]


@dataclass
class Stack:
    """A stack by its name, whether it is there or not.

    `on_event` gets each event, `show` the changes of an update before they begin, and `why` may add to the reason of a
    failed resource what only its own service knows. `common` goes with every request: tags, and the role that
    CloudFormation assumes.
    """

    client: "CloudFormationClient"
    name: str
    on_event: Callable[[Event], None]
    poll_seconds: float = POLL_SECONDS
    common: Mapping[str, Any] = field(default_factory=dict)
    show: Callable[[str, list[Change]], None] = lambda stack, changes: None
    why: Callable[[Event], str] = lambda event: ""
    _seen: set[str] = field(default_factory=set)

    def apply(self, template: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
        """Create or update, wait for the end and return the outputs; DeployError names the resource that failed first.

        Of `values` those go in that the template declares; parameters without a value keep the one that they have.
        """
        now = self._usable()
        if change_set := self._change_set(template, values, now):
            if now:
                self.show(self.name, self._changes(change_set, values, now))
            self._news()
            self.client.execute_change_set(
                StackName=self.name,
                ChangeSetName=change_set,
                RetainExceptOnCreate=now is None,  # what a failed creation made goes away again: it is empty
            )
            self._wait(self.name)
        ended = self.state()
        return ended.outputs if ended else {}

    def plan(self, template: Mapping[str, str], values: Mapping[str, str]) -> list[Change]:
        """What `apply` would do, found by a change set that is deleted again."""
        now = self._usable()
        change_set = self._change_set(template, values, now)
        if change_set is None:
            return []
        planned = self._changes(change_set, values, now)
        self._discard(change_set, now)
        return planned

    def delete(self) -> None:
        """Delete and wait for the end; nothing happens when there is no such stack."""
        if now := self.state():
            self._news()
            role = {name: value for name, value in self.common.items() if name == "RoleARN"}
            self.client.delete_stack(StackName=self.name, **role)
            self._wait(now.id)  # a deleted stack is known by its id only
            self._seen.clear()

    def state(self, name: str | None = None) -> State | None:
        """How it is now; None when there is no such stack."""
        try:
            [found] = self.client.describe_stacks(StackName=name or self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return State(
            found["StackId"],
            found["StackStatus"],
            {p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
            {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])},
        )

    def settled(self) -> State | None:
        """How it is as soon as nothing is under way; None when there is no such stack."""
        waiting = False
        while (now := self.state()) and now.status.endswith("_IN_PROGRESS") and now.status not in NEVER_MADE:
            if not waiting:
                waiting = True
                self.on_event(Event(self.name, now.status, "already under way: waiting for its end", stack=self.name))
            time.sleep(self.poll_seconds)
        return now

    def resources(self) -> list[Any]:
        """The StackResourceSummary documents of what it holds; none when there is no such stack."""
        if self.state() is None:
            return []
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [each for page in pages for each in page["StackResourceSummaries"]]

    def _usable(self) -> State | None:
        """None when the stack is to be created; what a failed creation left is deleted first."""
        now = self.settled()
        if now and now.status in NEVER_MADE:
            self.delete()
            return None
        return now

    def _change_set(self, template: Mapping[str, str], values: Mapping[str, str], now: State | None) -> str | None:
        """Name of a change set that can be executed; None when nothing would change."""
        names: Any = {"StackName": self.name, "ChangeSetName": f"deploy-{uuid.uuid4().hex[:12]}"}
        request: Any = {**template, **names, **self.common, "ChangeSetType": "UPDATE" if now else "CREATE"}
        parameters = self._parameters(template, values, now)
        self.client.create_change_set(**request, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
        attempts: Any = {"Delay": self.poll_seconds, "MaxAttempts": int(CHANGE_SET_SECONDS / self.poll_seconds)}
        try:
            self.client.get_waiter("change_set_create_complete").wait(**names, WaiterConfig=attempts)
        except WaiterError as error:
            reason = error.last_response.get("StatusReason") or str(error)
            self._discard(names["ChangeSetName"], now)
            if any(text in reason for text in UNCHANGED):
                return None
            raise DeployError(f"stack {self.name}: the change set failed: {reason}") from error
        return str(names["ChangeSetName"])

    def _discard(self, change_set: str, now: State | None) -> None:
        """The change set goes; of a stack that was not there also the empty one that it made."""
        if now:
            self.client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        else:
            self.delete()

    def _parameters(self, template: Any, values: Mapping[str, str], now: State | None) -> Any:
        """Parameters of a request."""
        declared = {each["ParameterKey"] for each in self.client.get_template_summary(**template)["Parameters"]}
        kept = (now.parameters.keys() if now else set()) & declared - values.keys()
        given: list[Any] = [{"ParameterKey": name, "ParameterValue": values[name]} for name in declared & values.keys()]
        return given + [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]

    def _changes(self, change_set: str, values: Mapping[str, str], now: State | None) -> list[Change]:
        asked: Any = {"StackName": self.name, "ChangeSetName": change_set, "IncludePropertyValues": True}
        pages = self.client.get_paginator("describe_change_set").paginate(**asked)
        old = now.parameters if now else {}
        changed = {name: (old[name], value) for name, value in values.items() if old.get(name, value) != value}
        return changes((found["ResourceChange"] for page in pages for found in page.get("Changes", [])), changed)

    def _wait(self, stack: str) -> None:
        """Report events as they come until nothing is under way; DeployError when that is not what was asked for."""
        cause = ""
        while True:
            now = self.state(stack)
            status = now.status if now else "DELETE_COMPLETE"
            for event in self._news(stack):
                self.on_event(event)
                if not cause and event.status.endswith("_FAILED") and "cancelled" not in event.reason:
                    cause = f"{event.resource} {event.status}: {event.reason}{self.why(event)}"
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
                return
            if not status.endswith("_IN_PROGRESS"):
                raise DeployError(f"stack {self.name} ended as {status}: {cause or 'no reason was given'}")
            time.sleep(self.poll_seconds)

    def _news(self, stack: str | None = None) -> list[Event]:
        """Events since the last call, the oldest first."""
        fresh: list[Any] = []
        for page in self.client.get_paginator("describe_stack_events").paginate(StackName=stack or self.name):
            new = [event for event in page["StackEvents"] if event["EventId"] not in self._seen]
            fresh += new
            if len(new) < len(page["StackEvents"]):  # what follows is older
                break
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
