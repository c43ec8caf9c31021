"""Brings a deployment to the state of its templates, in the cloud as on the local emulator.

A deployment is up to three stacks, each with a template of its own: STACK (the data stack), STACK-network and
STACK-service. Names go from one to the next as parameters. Everything may be repeated: the same input changes nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.artifacts import INFRA, Artifacts, package
from infra.deploy.capacity import fit_tasks
from infra.deploy.changes import Change
from infra.deploy.cloudformation import (
    NEVER_MADE,
    POLL_SECONDS,
    DeployError,
    Event,
    InputError,
    OnEvent,
    OnPlan,
    Stack,
    State,
    declared,
    outputs,
    state,
)
from infra.deploy.moved import require_free_consumer
from infra.deploy.tasks import why_stopped
from producer.aws.errors import explain

__all__ = ["Change", "DeployError", "Event", "InputError", "deploy", "deploy_all", "outputs", "package"]

DATA, NETWORK, SERVICE = INFRA / "data.yaml", INFRA / "network.yaml", INFRA / "service.yaml"
SUFFIXES = {DATA: "", NETWORK: "-network", SERVICE: "-service"}  # in the order of deployment
STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,24}")  # a bucket's name of at most 63 characters begins with it
Image = str | Callable[[Mapping[str, str]], str] | None


def ignore_plan(stack: str, changes: list[Change]) -> None:
    """For callers that do not show plans."""


def ignore_event(event: Event) -> None:
    """For what is made only to be looked at."""


def deploy(
    session: boto3.Session,
    stack: str,
    parameters: Mapping[str, str],
    on_event: OnEvent,
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, str]:
    """Create or update the data stack alone, as stack `stack`, and return its outputs.

    Parameters that are not given keep their values (at first, the template's defaults). DeployError names the first
    resource that failed and why.
    """
    return Deployment(session, stack, parameters, on_event, poll_seconds, templates=(DATA,)).apply(None, ignore_plan)


def deploy_all(
    session: boto3.Session,
    stack: str,
    parameters: Mapping[str, str],
    on_event: OnEvent,
    poll_seconds: float = POLL_SECONDS,
    image: Image = None,
    on_plan: OnPlan = ignore_plan,
) -> dict[str, str]:
    """Create or update all stacks of the deployment `stack` and return their outputs, merged.

    `parameters` is one flat mapping: each goes to every template that declares it; what no template declares is an
    InputError. Outputs of an earlier stack go to the later templates that declare a parameter of that name.
    `image` is the container image, or makes it from the data stack's outputs; None keeps the one that runs.
    The network is left out when `VpcId` and `SubnetIds` are given, now or by an earlier deployment.
    """
    return Deployment(session, stack, parameters, on_event, poll_seconds).apply(image, on_plan)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do to one stack. `changes` are None when they depend on stacks that are not there yet."""

    stack: str
    new: bool
    changes: list[Change] | None


class Deployment:
    """The stacks of one deployment, and what goes to each of them."""

    def __init__(
        self,
        session: boto3.Session,
        stack: str,
        parameters: Mapping[str, str],
        on_event: OnEvent,
        poll_seconds: float = POLL_SECONDS,
        role: str | None = None,
        templates: tuple[Path, ...] = tuple(SUFFIXES),
    ) -> None:
        """`role` is the ARN of the role that CloudFormation acts in, instead of the caller's."""
        require_name(stack)
        self.name = stack
        self._session = session
        self._client = session.client("cloudformation")
        self._parameters = dict(parameters)
        self._templates = templates
        self._on_event = on_event
        self.poll_seconds = poll_seconds
        self._common: dict[str, Any] = {"Tags": [{"Key": "sensorstream:stack", "Value": stack}]}
        self._known = {"DataStack": stack}
        if role:
            self._common["RoleARN"] = role
            self._known["ServiceRoleArn"] = role

    def apply(self, image: Image, on_plan: OnPlan) -> dict[str, str]:
        """See `deploy_all`."""
        made: dict[str, str] = {}
        with explained(self.name):
            require_free_consumer(self._session, self.name, self.state(DATA))
            for path, template, given in self._layers(image, made, upload=True):
                if path == SERVICE:
                    self._apply_service(template, given, on_plan)
                else:
                    self.stack(path).apply(template, given, on_plan)
                made |= outputs(self._session, self.name + SUFFIXES[path])
        return made

    def _apply_service(self, template: Mapping[str, str], given: Mapping[str, str], on_plan: OnPlan) -> None:
        """As `apply`, and a DeployError tells also why the tasks ended: soon nobody knows it any more."""
        why = ""

        def tell(event: Event) -> None:
            nonlocal why
            self._on_event(event)
            if event.kind == "AWS::ECS::Service" and event.status.endswith("_FAILED"):
                why = why or why_stopped(self._session, self.name)

        try:
            self.stack(SERVICE, tell).apply(template, given, on_plan)
        except DeployError as error:
            if not why:
                raise
            raise DeployError(f"{error}; the last task that ended: {why}") from error

    def plan(self, image: Image) -> Iterator[Plan]:
        """What `apply` would do to each stack, as far as it can be known before it is done."""
        made: dict[str, str] = {}
        missing = False
        with explained(self.name):
            for path, template, given in self._layers(image, made, upload=False):
                now, one = self.state(path), self.stack(path, ignore_event)
                new = now is None or now.status in NEVER_MADE
                if missing and path == SERVICE:  # it is made of the others' outputs
                    yield Plan(one.name, new, None)
                else:
                    yield Plan(one.name, new, one.plan(template, given))
                missing = missing or new
                made |= now.outputs if now else {}

    def stack(self, path: Path, on_event: OnEvent | None = None) -> Stack:
        """The stack of one of the templates."""
        return Stack(
            self._client, self.name + SUFFIXES[path], on_event or self._on_event, self.poll_seconds, self._common
        )

    def state(self, path: Path) -> State | None:
        """None when there is no such stack."""
        return state(self._client, self.name + SUFFIXES[path])

    def _layers(
        self, image: Image, made: Mapping[str, str], upload: bool
    ) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
        """Each template in order with its parameters, of which `made` (by the stacks before it) may be some."""
        artifacts = Artifacts(self._session, self.name)
        paths = [path for path in self._templates if path.exists() and (path != NETWORK or self._needs_network())]
        templates = {path: artifacts.template(path) for path in paths}
        declares = {path: declared(self._client, template) for path, template in templates.items()}
        require_declared(self._parameters, declares)
        known = {**self._known, "ArtifactBucket": artifacts.bucket}
        if SERVICE in paths:
            defaults = {**declares[DATA], **declares[SERVICE]}
            known |= fit_tasks(self._session, self._parameters, self.state(DATA), self.state(SERVICE), defaults)
        known["FunctionsKey"] = artifacts.functions(upload)
        for path, template in templates.items():
            if path == SERVICE and image is not None:
                known["Image"] = image if isinstance(image, str) else image(made)
            values = {**known, **made, **self._parameters}
            yield path, template, {name: value for name, value in values.items() if name in declares[path]}

    def _needs_network(self) -> bool:
        """Whether there is to be a network of its own: not when the service is, or shall be, in somebody else's."""
        if self._parameters.get("VpcId") and self._parameters.get("SubnetIds"):
            return False
        return self.state(SERVICE) is None or self.state(NETWORK) is not None


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


def require_name(stack: str | None) -> None:
    """InputError when there is no name, or a deployment cannot have it."""
    if not stack:
        raise InputError("name the deployment: STACK=name")
    if not STACK_NAME.fullmatch(stack):
        raise InputError(f"STACK={stack}: a name is at most 25 letters, digits and hyphens, the first of them a letter")
    own = stack.removesuffix("-network").removesuffix("-service")
    if own != stack:  # deploying or destroying it would take a part of the deployment `own` for a whole one
        raise InputError(f"STACK={stack} is a name of the deployment {own}'s own stacks; did you mean {own}?")


def require_declared(parameters: Mapping[str, str], declares: Mapping[Path, Mapping[str, str]]) -> None:
    """InputError naming the first parameter that no template knows."""
    for name in parameters:
        if not any(name in names for names in declares.values()):
            known = sorted({each for names in declares.values() for each in names})
            raise InputError(f"no template has a parameter {name}; there are {', '.join(known)}")
