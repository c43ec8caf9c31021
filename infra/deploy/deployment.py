"""Brings a deployment to the state of its templates, in the cloud as on the local emulator.

A deployment is three stacks, each with a template of its own: STACK (the data stack), STACK-network and STACK-service.
Outputs of one are parameters of the next. Everything may be repeated: the same input changes nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.artifacts import Artifacts
from infra.deploy.capacity import fit_tasks
from infra.deploy.changes import Change, count, table
from infra.deploy.cloudformation import NEVER_MADE, POLL_SECONDS, DeployError, Event, InputError, Stack
from infra.deploy.moved import require_free_consumer
from infra.deploy.parameters import require_policy
from infra.deploy.tasks import why_stopped
from infra.deploy.templates import DATA, NETWORK, SERVICE
from producer.aws.errors import explain
from producer.fleet.topics import device_levels

STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,24}")  # a bucket's name of at most 63 characters begins with it
Outputs = dict[str, str]
Image = Callable[[Outputs, str], str]
"""Gives the reference of an image by the Dockerfile's target, `service` or `tools`; the outputs are those of the stacks
before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do to one stack. `changes` are None when they depend on stacks that are not there yet."""

    stack: str
    new: bool
    changes: list[Change] | None

    def as_json(self) -> dict[str, Any]:
        """`changes` is null where they are not known yet."""
        return {
            "stack": self.stack,
            "new": self.new,
            "changes": None if self.changes is None else [each.as_json() for each in self.changes],
        }

    def as_text(self) -> str:
        if self.changes is None:
            return f"stack {self.stack}: to be created, once the stacks before it are there"
        first = f"stack {self.stack}: {'to be created, ' if self.new else ''}{count(self.changes)}"
        return "\n".join([first, *(f"  {line}" for line in table(self.changes))])


class Deployment:
    """The stacks of one deployment: `data`, `network` and `service`.

    `parameters` is one flat mapping: each goes to every template that declares it, and parameters that are not given
    keep their values. `on_event` and `show` are those of `Stack`; `role` is the ARN of the role that CloudFormation
    assumes instead of the caller's. There is no network's stack when `VpcId` and `SubnetIds` are given, now or earlier.
    """

    def __init__(
        self,
        session: boto3.Session,
        name: str,
        parameters: Mapping[str, str],
        on_event: Callable[[Event], None] = lambda event: None,
        poll_seconds: float = POLL_SECONDS,
        role: str | None = None,
        show: Callable[[str, list[Change]], None] = lambda stack, changes: None,
    ) -> None:
        require_name(name)
        self.session, self.name, self.parameters = session, name, dict(parameters)
        self._artifacts = Artifacts(session, name)
        self._role = {"ServiceRoleArn": role} if role else {}
        client = session.client("cloudformation")
        common: Any = {"Tags": [{"Key": "sensorstream:stack", "Value": name}], **({"RoleARN": role} if role else {})}
        self.data, self.network, self.service = (
            Stack(client, name + suffix, on_event, poll_seconds, common, show, self._why)
            for suffix in ("", "-network", "-service")
        )

    def apply(self, image: Image) -> Outputs:
        """Create or update all stacks and return their outputs, merged. DeployError names the resource that failed
        first and why; what cannot be is an InputError."""
        with explained(self.name):
            tasks = self._tasks()
            self._require_policy()
            require_free_consumer(self.session, self.name, self.data.state())
            made = self.apply_data()
            if self._own_network():
                made |= self.network.apply(self._artifacts.template(NETWORK), self._values(made))
            values = tasks | self._images(image, made) | self._values(made)
            return made | self.service.apply(self._artifacts.template(SERVICE), values)

    def apply_data(self) -> Outputs:
        """The data stack alone."""
        with explained(self.name):
            self._artifacts.upload_functions()
            return self.data.apply(self._artifacts.template(DATA), self._values({}))

    def plan(self, image: Image) -> list[Plan]:
        """What `apply` would do to each stack, as far as it can be known before it is done."""
        with explained(self.name):
            tasks, made, plans = self._tasks(), Outputs(), []
            self._require_policy()
            for stack, path in ((self.data, DATA), (self.network, NETWORK))[: 2 if self._own_network() else 1]:
                now = stack.state()
                template = self._artifacts.template(path)
                plans.append(Plan(stack.name, _is_new(stack), stack.plan(template, self._values(made))))
                made |= now.outputs if now else {}
            new, changes = _is_new(self.service), None
            if not any(plan.new for plan in plans):  # it is made of the others' outputs
                values = tasks | self._images(image, made) | self._values(made)
                changes = self.service.plan(self._artifacts.template(SERVICE), values)
            return [*plans, Plan(self.service.name, new, changes)]

    def _values(self, made: Outputs) -> dict[str, str]:
        """Values for the templates' parameters; some are outputs of the stacks before, one is derived."""
        own = {"DataStack": self.name, "ArtifactBucket": self._artifacts.bucket, "FunctionsKey": self._artifacts.key}
        if topics := self.parameters.get("TopicPattern"):
            own["TopicDeviceLevel"] = device_levels(topics)
        return {**own, **self._role, **made, **self.parameters}

    def _images(self, image: Image, made: Outputs) -> dict[str, str]:
        """The service's, and that of the commands if there is to be a simulator or compaction."""
        now = self.service.state()
        values = {"SimulatorDevices": "0", "CompactionSchedule": ""} | {
            **(now.parameters if now else {}),
            **self.parameters,
        }
        commands = values["SimulatorDevices"] != "0" or values["CompactionSchedule"]
        tools = commands and "SimulatorImage" not in self.parameters
        return {"Image": image(made, "service")} | ({"SimulatorImage": image(made, "tools")} if tools else {})

    def _tasks(self) -> dict[str, str]:
        return fit_tasks(self.session, self.parameters, self.data.state(), self.service.state())

    def _require_policy(self) -> None:
        now = self.data.state()
        require_policy(self.parameters, now.parameters if now else {})

    def _own_network(self) -> bool:
        """Whether there is to be a network's stack: not when the service is, or shall be, in another network."""
        if self.parameters.get("VpcId") and self.parameters.get("SubnetIds"):
            return False
        return self.service.state() is None or self.network.state() is not None

    def _why(self, event: Event) -> str:
        """Why the tasks of a failed service ended; ECS forgets this soon."""
        why = why_stopped(self.session, self.name) if event.kind == "AWS::ECS::Service" else ""
        return f"; the last task that ended: {why}" if why else ""


def _is_new(stack: Stack) -> bool:
    now = stack.state()
    return now is None or now.status in NEVER_MADE


@contextmanager
def explained(stack: str) -> Iterator[None]:
    """What AWS answers becomes a DeployError, of which a refusal of the input is an InputError."""
    try:
        yield
    except ClientError as error:
        refused = error.response["Error"].get("Code") == "ValidationError"
        raise (InputError if refused else DeployError)(f"stack {stack}: {explain(error)}") from error
    except BotoCoreError as error:
        raise DeployError(f"stack {stack}: {explain(error)}") from error


def require_name(stack: str | None) -> str:
    """The name; InputError when there is none, or a deployment cannot have it."""
    if not stack:
        raise InputError("name the deployment: STACK=name")
    if not STACK_NAME.fullmatch(stack):
        raise InputError(f"STACK={stack}: a name is at most 25 letters, digits and hyphens, the first of them a letter")
    own = stack.removesuffix("-network").removesuffix("-service")
    if own != stack:  # deploying or destroying it would take a part of the deployment `own` for a whole one
        raise InputError(f"STACK={stack} is a name of the deployment {own}'s own stacks; did you mean {own}?")
    return stack
