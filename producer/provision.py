"""Things, certificates and keys of a fleet: made in AWS IoT, kept in a private folder, taken away again.

<folder>/<name>/certificate.pem, private.key, device.json (certificate id and ARN)
"""

import json
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from producer.errors import UserError

if TYPE_CHECKING:
    from types_boto3_iot import IoTClient

AT_ONCE = 8
TEMPORARY = {"sensorstream": "temporary"}
"""Attribute of a thing that `simulate --provision` has made and takes away again (producer/temporary.py)."""
DETACHED_SECONDS, AGAIN_SECONDS = 30.0, 0.5


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where one device's certificate and key are."""

    name: str
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "private.key"

    @property
    def identity(self) -> Path:
        return self.folder / "device.json"

    def certificate_id(self) -> str | None:
        """None when nothing, or not everything, is saved."""
        if not (self.certificate.is_file() and self.key.is_file() and self.identity.is_file()):
            return None
        return str(json.loads(self.identity.read_text())["certificateId"])


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(1, count + 1)]


def saved(folder: Path, prefix: str, count: int, stack: str) -> list[Credentials]:
    """The saved credentials of a stack's devices; raises UserError for the first one that has none."""
    found = [Credentials(name, folder / name) for name in names(prefix, count)]
    for device in found:
        if device.certificate_id() is None:
            raise UserError(
                f"device {device.name} has no certificate in {folder}; "
                f"first: .venv/bin/python -m producer provision --stack {stack} --prefix {shlex.quote(prefix)} "
                f"--devices {count}"
            )
    return found


def iot_client() -> "IoTClient":
    """One that slows down as AWS IoT wishes, which makes and deletes some ten certificates a second."""
    client: IoTClient = boto3.client("iot", config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
    return client


def private_folder(folder: Path) -> None:
    """Makes it; raises UserError when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); choose another with DEVICES_DIR=...") from None


def provision(
    wanted: list[str], policy: str, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> list[Credentials]:
    """Makes what is missing of each device and leaves the rest alone. `progress` is told how many are
    done."""
    client = iot_client()
    private_folder(folder)
    devices = [Credentials(name, folder / name) for name in wanted]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(lambda d: _provision(client, d, policy), devices), 1):
            progress(count)
    return devices


def deprovision(wanted: list[str], folder: Path) -> int:
    """Takes things and certificates away, in AWS IoT and in the folder; returns how many devices there
    were."""
    client = iot_client()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        gone = list(pool.map(lambda name: remove(client, Credentials(name, folder / name)), wanted))
    return sum(gone)


def deprovision_all(client: "IoTClient", policy: str) -> int:
    """Takes away the certificates that the policy is attached to, and their things; returns how many
    certificates.

    What other policies or other certificates need as well is only detached. Saved keys stay on the disk.
    """
    try:
        pages = list(client.get_paginator("list_targets_for_policy").paginate(policyName=policy))
    except client.exceptions.ResourceNotFoundException:
        return 0
    targets = [target for page in pages for target in page["targets"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(lambda target: _take_away(client, target, policy), targets))


def _take_away(client: "IoTClient", target: str, policy: str) -> bool:
    """Whether the target was a certificate that only this policy needed."""
    client.detach_policy(policyName=policy, target=target)
    if ":cert/" not in target or client.list_attached_policies(target=target)["policies"]:
        return False
    for name in client.list_principal_things(principal=target)["things"]:
        client.detach_thing_principal(thingName=name, principal=target)
        if not client.list_thing_principals(thingName=name)["principals"]:
            delete_thing(client, name)
    deactivate(client, target)
    delete_certificate(client, target)
    return True


def _provision(client: "IoTClient", device: Credentials, policy: str) -> None:
    try:
        client.create_thing(thingName=device.name)
    except client.exceptions.ResourceAlreadyExistsException:  # with attributes, else this would be no error
        if is_temporary(client, device.name):
            raise UserError(
                f"device {device.name} is one of a simulate --provision that runs, or was killed; "
                "choose another --prefix, or take such devices away: python -m producer deprovision"
            ) from None
    arn = known_certificate(client, device.certificate_id())
    if arn is None:
        arn = new_certificate(client, device)
    client.attach_policy(policyName=policy, target=arn)
    client.attach_thing_principal(thingName=device.name, principal=arn)


def is_temporary(client: "IoTClient", name: str) -> bool | None:
    """Whether the thing was made for one run only; None when there is no such thing."""
    try:
        return TEMPORARY.items() <= client.describe_thing(thingName=name)["attributes"].items()
    except client.exceptions.ResourceNotFoundException:
        return None


def known_certificate(client: "IoTClient", certificate_id: str | None) -> str | None:
    """ARN of the saved certificate when this account knows it and it is active."""
    if certificate_id is None:
        return None
    try:
        description = client.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    except client.exceptions.ResourceNotFoundException:
        return None  # saved from another account, or from a local stack that is gone
    return description["certificateArn"] if description["status"] == "ACTIVE" else None


def new_certificate(client: "IoTClient", device: Credentials) -> str:
    made = client.create_keys_and_certificate(setAsActive=True)
    device.folder.mkdir(exist_ok=True, mode=0o700)
    _write_private(device.certificate, made["certificatePem"])
    _write_private(device.key, made["keyPair"]["PrivateKey"])
    identity = {"certificateId": made["certificateId"], "certificateArn": made["certificateArn"]}
    _write_private(device.identity, json.dumps(identity))  # last: only then the three are complete
    return made["certificateArn"]


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def remove(client: "IoTClient", device: Credentials) -> bool:
    """Takes the thing away, every certificate attached to it, and what is saved; whether there was anything in AWS
    IoT."""
    try:
        principals = client.list_thing_principals(thingName=device.name)["principals"]
    except client.exceptions.ResourceNotFoundException:
        principals = []
    for arn in principals:
        client.detach_thing_principal(thingName=device.name, principal=arn)
        for attached in client.list_attached_policies(target=arn)["policies"]:
            client.detach_policy(policyName=attached["policyName"], target=arn)
        deactivate(client, arn)
        delete_certificate(client, arn)
    found = bool(principals)
    if is_temporary(client, device.name) is not None:
        delete_thing(client, device.name)
        found = True
    forget(device)
    return found


def forget(device: Credentials) -> None:
    """Deletes what is saved of it."""
    for path in (device.certificate, device.key, device.identity):
        path.unlink(missing_ok=True)
    if device.folder.is_dir() and not any(device.folder.iterdir()):
        device.folder.rmdir()


def deactivate(client: "IoTClient", certificate: str) -> None:
    client.update_certificate(certificateId=certificate.rpartition("/")[2], newStatus="INACTIVE")


def delete_certificate(client: "IoTClient", certificate: str) -> None:
    """Of an inactive one that was detached from everything."""
    when_detached(lambda: client.delete_certificate(certificateId=certificate.rpartition("/")[2], forceDelete=True))


def delete_thing(client: "IoTClient", name: str) -> None:
    """Of one that was detached from everything."""
    when_detached(lambda: client.delete_thing(thingName=name))


def when_detached(delete: Callable[[], object]) -> None:
    """Deletes as soon as AWS IoT lets it: that something was detached takes seconds to be known everywhere."""
    deadline = time.monotonic() + DETACHED_SECONDS
    while True:
        try:
            delete()
            return
        except ClientError as error:
            attached = error.response["Error"]["Code"] in ("DeleteConflictException", "InvalidRequestException")
            if not attached or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_SECONDS)
