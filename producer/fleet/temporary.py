"""Devices for one run of the simulator: made before it, marked as such, taken away after it.

A run that is killed leaves marked things; the next one with the same names takes them away before it makes its own.

What `simulate --provision` asks of AWS, and for which resource a role needs the right:

    ssm:GetParametersByPath    parameter/sensorstream/<stack>
    iot:DescribeThing          thing/<name>       for each device, before anything is made
    iot:CreateThing            thing/<name>
    iot:CreateKeysAndCertificate  *               a certificate has no name before it is there
    iot:AttachPolicy           cert/*             target; the certificate's id is a digest
    iot:AttachThingPrincipal   cert/*, or * (*)   principal
    iot:DetachThingPrincipal   cert/*, or * (*)   principal; from here on at the end
    iot:DetachPolicy           cert/*             target
    iot:UpdateCertificate      cert/*             activated when all is saved; only an inactive one can be deleted
    iot:DeleteCertificate      cert/*
    iot:DeleteThing            thing/<name>
    iot:ListThingPrincipals    thing/<name>, or * (*)  only of what a killed run has left
    iot:ListAttachedPolicies   cert/*, or * (*)   the same
    iot:DescribeCertificate    cert/*             only where certificates are saved already: never in a fresh task

(*) IoT's developer guide names the resource, IAM's service reference says that these know none.
`provision` asks for DescribeCertificate, Create..., Attach..., UpdateCertificate and DescribeThing, and to go on for
ListTargetsForPolicy and ListThings; `deprovision` for List..., Detach..., Update..., Delete..., DescribeThing and
DescribeCertificate. Devices connect by their certificates; a role plays no part in that.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import boto3

from producer.aws.errors import AWS_ERRORS, explain
from producer.fleet import registry
from producer.fleet.credentials import Credentials, private_folder
from producer.fleet.provision import AT_ONCE
from producer.fleet.registry import OWNER, TEMPORARY


@dataclass(slots=True)
class _Made:
    """What there is to take away again of one device."""

    device: Credentials
    thing: bool = False
    new: bool = False  # the certificate
    certificate: str | None = None  # its ARN
    problem: str | None = None


class TemporaryDevices:
    """`make` and then, in any case, `take_away`: also what a failed or stopped `make` has got ready."""

    def __init__(self, session: boto3.Session, policy: str, folder: Path) -> None:
        self._client = registry.iot_client(session)
        self._policy = policy
        self._marks = {**TEMPORARY, OWNER: policy}
        self._folder = folder
        self._made: list[_Made] = []

    def make(self, wanted: list[str], stop: threading.Event, progress: Callable[[int], None]) -> None:
        """Makes what is missing of each device, until `stop`; what is there and saved is used and stays.

        `progress` is called with how many are done. Raises one of AWS_ERRORS, or UserError where nothing can be saved.
        """
        private_folder(self._folder)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            devices = [Credentials(name, self._folder / name) for name in wanted]
            for count, _ in enumerate(pool.map(lambda device: self._make(device, stop), devices), 1):
                progress(count)

    def take_away(self) -> str | None:
        """Deletes everything that was made, once no device is connected; returns the problem when something is left."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for step in (self._detach, self._delete):  # two rounds: detaching takes a while to be known everywhere
                list(pool.map(lambda made, step=step: _noted(step, made), self._made))
        problems = [made.problem for made in self._made if made.problem]
        if not problems:
            return None
        return (
            f"devices made for this run are left, {len(problems)} of them: {problems[0]}; "
            "take them away with .venv/bin/sensorstream deprovision and the same --stack, --prefix and --devices"
        )

    def _make(self, device: Credentials, stop: threading.Event) -> None:
        if stop.is_set():
            return
        temporary = registry.is_temporary(self._client, device.name)
        if temporary:
            registry.remove(self._client, device)
        made = _Made(device)
        self._made.append(made)
        if temporary is not False:  # there is none, or none any more
            self._client.create_thing(thingName=device.name, attributePayload={"attributes": self._marks})
            made.thing = True
        saved = device.saved()
        arn = registry.known_certificate(self._client, device)
        if arn is None:
            made.certificate, made.new = registry.new_certificate(self._client, device, self._policy), True
        elif made.thing or (saved and saved.pending):
            made.certificate = arn if made.thing else None
            registry.attach(self._client, device, self._policy, arn)

    def _detach(self, made: _Made) -> None:
        gone = self._client.exceptions.ResourceNotFoundException
        if made.certificate:
            with suppress(gone):
                self._client.detach_thing_principal(thingName=made.device.name, principal=made.certificate)
        if made.certificate and made.new:
            with suppress(gone):
                registry.deactivate(self._client, made.certificate)

    def _delete(self, made: _Made) -> None:
        if made.certificate and made.new:
            with suppress(self._client.exceptions.ResourceNotFoundException):
                # Not before: by its policy `make destroy` finds what is left.
                self._client.detach_policy(policyName=self._policy, target=made.certificate)
                registry.delete_certificate(self._client, made.certificate)
            made.device.forget()
        if made.thing:
            registry.delete_thing(self._client, made.device.name)


def _noted(step: Callable[[_Made], None], made: _Made) -> None:
    """A device that gives trouble must not keep the others."""
    if made.problem:
        return
    try:
        step(made)
    except AWS_ERRORS as error:
        made.problem = explain(error)
    except OSError as error:
        made.problem = str(error)
