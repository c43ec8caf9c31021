"""Things, certificates and keys of a fleet: made in AWS IoT, kept in a private folder, taken away again.


A device is made in an order in which a crash leaves nothing that could connect, and nothing that `make destroy` does
not find: the thing, marked as this deployment's; the certificate, inactive; its policy; the thing's attachment; the
saved key; and last of all the certificate is activated. A crash within the one request between the certificate and its
policy leaves an inactive certificate without any right: AWS IoT names certificates itself and keeps no tags of them.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from producer.aws.errors import AWS_ERRORS, UserError, explain
from producer.fleet.credentials import Credentials as Credentials
from producer.fleet.credentials import names as names
from producer.fleet.credentials import private_folder as private_folder
from producer.fleet.credentials import saved as saved

if TYPE_CHECKING:
    from types_boto3_iot import IoTClient

AT_ONCE = 8
OWNER = "sensorstream-policy"
"""Attribute of each thing that is made here: the deployment's policy for devices, by which destroy finds it."""
TEMPORARY = {"sensorstream": "temporary"}
"""Attribute of a thing that `simulate --provision` has made and takes away again (producer/fleet/temporary.py)."""
DETACHED_SECONDS, AGAIN_SECONDS = 30.0, 0.5


def iot_client(session: boto3.Session) -> "IoTClient":
    """One that slows down as AWS IoT wishes, which makes and deletes some ten certificates a second."""
    client: IoTClient = session.client("iot", config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
    return client


def provision(
    session: boto3.Session,
    wanted: list[str],
    policy: str,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Credentials]:
    """Makes what is missing of each device and leaves the rest alone. `progress` is told how many are
    done."""
    client = iot_client(session)
    private_folder(folder)
    devices = [Credentials(name, folder / name) for name in wanted]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(lambda d: _provision(client, d, policy), devices), 1):
            progress(count)
    return devices


def deprovision(session: boto3.Session, wanted: list[str], folder: Path, policy: str) -> int:
    """Takes things and certificates away, in AWS IoT and in the folder; returns how many devices there were.

    UserError, before anything is taken away, for the first one with a certificate of other policies: it belongs to
    another stack, whose devices have the same names.
    """
    client = iot_client(session)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, others in zip(wanted, pool.map(lambda name: _others(client, name, policy), wanted), strict=True):
            if others:
                raise UserError(
                    f"device {name} has the policy {others[0]}, not this stack's {policy}; nothing was taken away. "
                    "Name its stack (--stack), or other devices (--prefix)"
                )
        gone = list(pool.map(lambda name: remove(client, Credentials(name, folder / name)), wanted))
    return sum(gone)


def _others(client: "IoTClient", name: str, policy: str) -> list[str]:
    """Policies of the device's certificates, where this one is not among those of each."""
    try:
        principals = client.list_thing_principals(thingName=name)["principals"]
    except client.exceptions.ResourceNotFoundException:
        return []
    for arn in principals:
        found = [each["policyName"] for each in client.list_attached_policies(target=arn)["policies"]]
        if found and policy not in found:
            return found
    return []


def deprovision_all(client: "IoTClient", policy: str) -> int:
    """Takes away the certificates that the policy is attached to, their things, and the things that a crash left
    without a certificate; returns how many certificates and lonely things.

    What other policies or other certificates need as well is only detached. Saved keys stay on the disk.
    """
    try:
        pages = list(client.get_paginator("list_targets_for_policy").paginate(policyName=policy))
    except client.exceptions.ResourceNotFoundException:
        pages = []
    targets = [target for page in pages for target in page["targets"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        count = sum(pool.map(lambda target: _take_away(client, target, policy), targets))
        things = client.get_paginator("list_things").paginate(attributeName=OWNER, attributeValue=policy)
        marked = [thing["thingName"] for page in things for thing in page["things"]]
        return count + sum(pool.map(lambda name: _take_thing_away(client, name), marked))


def _take_thing_away(client: "IoTClient", name: str) -> bool:
    """A thing of ours with the certificates that only it has and that no policy needs; whether it is gone."""
    for arn in client.list_thing_principals(thingName=name)["principals"]:
        if ":cert/" not in arn or client.list_attached_policies(target=arn)["policies"]:
            return False  # somebody gave it another right: theirs
        client.detach_thing_principal(thingName=name, principal=arn)
        if not client.list_principal_things(principal=arn)["things"]:
            deactivate(client, arn)
            delete_certificate(client, arn)
    delete_thing(client, name)
    return True


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
        client.create_thing(thingName=device.name, attributePayload={"attributes": {OWNER: policy}})
    except client.exceptions.ResourceAlreadyExistsException:  # made before, with these attributes or others
        if is_temporary(client, device.name):
            raise UserError(
                f"device {device.name} is one of a simulate --provision that runs, or was killed; "
                "choose another --prefix, or take such devices away: .venv/bin/sensorstream deprovision with the "
                "same --stack, --prefix and --devices"
            ) from None
    arn = known_certificate(client, device.certificate_id())
    if arn is None:
        new_certificate(client, device, policy)
    else:
        _attach(client, device, policy, arn)


def _attach(client: "IoTClient", device: Credentials, policy: str, arn: str) -> None:
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


def new_certificate(client: "IoTClient", device: Credentials, policy: str) -> str:
    """Makes a certificate for a thing that is there, with its policy, saves it with its key, and returns its ARN.

    When any step fails it is taken back. Raises UserError when it cannot be saved, or one of AWS_ERRORS.
    """
    device.check_space()  # before anything is made
    made = client.create_keys_and_certificate(setAsActive=False)
    arn = made["certificateArn"]
    try:
        _attach(client, device, policy, arn)
        device.save(made["certificatePem"], made["keyPair"]["PrivateKey"], made["certificateId"], arn)
        client.update_certificate(certificateId=made["certificateId"], newStatus="ACTIVE")
    except BaseException as error:
        problem = _take_back(client, device, policy, arn)
        if isinstance(error, OSError):
            raise device.unsaved(error, problem or "its certificate was taken back") from None
        raise
    return arn


def _take_back(client: "IoTClient", device: Credentials, policy: str, arn: str) -> str | None:
    """Removes what `new_certificate` has made so far; what is left, in words, when that fails too."""
    gone = client.exceptions.ResourceNotFoundException
    with suppress(OSError):  # the disk may be the reason for all this
        device.forget()
    try:
        with suppress(gone):
            client.detach_thing_principal(thingName=device.name, principal=arn)
        with suppress(gone):
            client.detach_policy(policyName=policy, target=arn)
        deactivate(client, arn)
        delete_certificate(client, arn)
    except AWS_ERRORS as error:
        return f"and its certificate {arn.rpartition('/')[2]} could not be taken back: {explain(error)}"
    return None


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
    device.forget()
    return found


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
