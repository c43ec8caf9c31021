"""Things, certificates and keys of a fleet: made in AWS IoT, kept in a private folder, taken away again.

<folder>/<name>/certificate.pem, private.key, device.json (certificate id and ARN)
"""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from producer.errors import UserError

if TYPE_CHECKING:
    from types_boto3_iot import IoTClient

AT_ONCE = 8


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


def saved(folder: Path, wanted: Iterable[str]) -> list[Credentials]:
    """The saved credentials of the wanted devices; raises UserError for the first one that has none."""
    found = [Credentials(name, folder / name) for name in wanted]
    for device in found:
        if device.certificate_id() is None:
            raise UserError(
                f"device {device.name} has no certificate in {folder}; "
                f"first: python -m producer provision --devices {len(found)}"
            )
    return found


def provision(
    wanted: list[str], policy: str, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> list[Credentials]:
    """Makes what is missing of each device and leaves the rest alone. `progress` is told how many are
    done."""
    client = boto3.client("iot")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    devices = [Credentials(name, folder / name) for name in wanted]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(lambda d: _provision(client, d, policy), devices), 1):
            progress(count)
    return devices


def deprovision(wanted: list[str], folder: Path) -> int:
    """Takes things and certificates away, in AWS IoT and in the folder; returns how many devices there
    were."""
    client = boto3.client("iot")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        gone = list(pool.map(lambda name: _deprovision(client, Credentials(name, folder / name)), wanted))
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
            client.delete_thing(thingName=name)
    certificate_id = target.rpartition("/")[2]
    client.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    client.delete_certificate(certificateId=certificate_id, forceDelete=True)
    return True


def _provision(client: "IoTClient", device: Credentials, policy: str) -> None:
    arn = _known_certificate(client, device.certificate_id())
    if arn is None:
        arn = _new_certificate(client, device)
    client.create_thing(thingName=device.name)
    client.attach_policy(policyName=policy, target=arn)
    client.attach_thing_principal(thingName=device.name, principal=arn)


def _known_certificate(client: "IoTClient", certificate_id: str | None) -> str | None:
    """ARN of the saved certificate when this account knows it and it is active."""
    if certificate_id is None:
        return None
    try:
        description = client.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    except client.exceptions.ResourceNotFoundException:
        return None  # saved from another account, or from a local stack that is gone
    return description["certificateArn"] if description["status"] == "ACTIVE" else None


def _new_certificate(client: "IoTClient", device: Credentials) -> str:
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


def _deprovision(client: "IoTClient", device: Credentials) -> bool:
    found = False
    try:
        principals = client.list_thing_principals(thingName=device.name)["principals"]
    except client.exceptions.ResourceNotFoundException:
        principals = []
    for arn in principals:
        client.detach_thing_principal(thingName=device.name, principal=arn)
        for attached in client.list_attached_policies(target=arn)["policies"]:
            client.detach_policy(policyName=attached["policyName"], target=arn)
        certificate_id = arn.rpartition("/")[2]
        client.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
        client.delete_certificate(certificateId=certificate_id, forceDelete=True)
        found = True
    try:
        client.describe_thing(thingName=device.name)
        client.delete_thing(thingName=device.name)
        found = True
    except client.exceptions.ResourceNotFoundException:
        pass
    for path in (device.certificate, device.key, device.identity):
        path.unlink(missing_ok=True)
    if device.folder.is_dir() and not any(device.folder.iterdir()):
        device.folder.rmdir()
    return found
