"""Steps with one device in AWS IoT: its thing, its certificate, and the deployment's policy that it gets."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from consumer.aws.codes import code
from producer.aws.errors import AWS_ERRORS, explain
from producer.fleet.credentials import Credentials, Saved

if TYPE_CHECKING:
    from types_boto3_iot import IoTClient

OWNER = "sensorstream-policy"
"""Attribute of each thing that is made here: the deployment's policy for devices, by which destroy finds it."""
TEMPORARY = {"sensorstream": "temporary"}
"""Attribute of a thing that `simulate --provision` has made and takes away again (producer/fleet/temporary.py)."""
ATTACHED = {"DeleteConflictException", "InvalidRequestException"}  # codes of what cannot be deleted yet
DETACHED_SECONDS, AGAIN_SECONDS = 30.0, 0.5


def iot_client(session: boto3.Session) -> "IoTClient":
    """One that slows down as AWS IoT wishes, which makes and deletes some ten certificates a second."""
    client: IoTClient = session.client("iot", config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
    return client


def is_temporary(client: "IoTClient", name: str) -> bool | None:
    """Whether the thing was made for one run only; None when there is no such thing."""
    try:
        return TEMPORARY.items() <= client.describe_thing(thingName=name)["attributes"].items()
    except client.exceptions.ResourceNotFoundException:
        return None


def principals(client: "IoTClient", name: str) -> list[str]:
    """ARNs of a thing's certificates; none where there is no such thing."""
    try:
        return client.list_thing_principals(thingName=name)["principals"]
    except client.exceptions.ResourceNotFoundException:
        return []


def policies(client: "IoTClient", certificate: str) -> list[str]:
    """Names of the policies that a certificate has."""
    return [each["policyName"] for each in client.list_attached_policies(target=certificate)["policies"]]


def known_certificate(client: "IoTClient", device: Credentials) -> str | None:
    """ARN of the saved certificate when this account knows it, and it is active or was never: one that somebody has
    deactivated stays so."""
    saved = device.saved()
    if saved is None:
        return None
    try:
        description = client.describe_certificate(certificateId=saved.certificate_id)["certificateDescription"]
    except client.exceptions.ResourceNotFoundException:
        return None  # saved from another account, or from a local stack that is gone
    good = {"ACTIVE", "INACTIVE"} if saved.pending else {"ACTIVE"}
    return description["certificateArn"] if description["status"] in good else None


def new_certificate(client: "IoTClient", device: Credentials, policy: str) -> str:
    """Makes a certificate for a thing that is there, saves it with its key, attaches it, and returns its ARN.

    When any step fails it is taken back. Raises UserError when it cannot be saved, or one of AWS_ERRORS.
    """
    device.check_space()  # before anything is made
    made = client.create_keys_and_certificate(setAsActive=False)
    arn = made["certificateArn"]
    try:
        identity = Saved(made["certificateId"], arn, pending=True)
        device.save(made["certificatePem"], made["keyPair"]["PrivateKey"], identity)
        attach(client, device, policy, arn)
    except BaseException as error:
        problem = _take_back(client, device, policy, arn)
        if isinstance(error, OSError):
            raise device.unsaved(error, problem or "its certificate was taken back") from None
        raise
    return arn


def attach(client: "IoTClient", device: Credentials, policy: str, arn: str) -> None:
    """Gives the saved certificate the deployment's policy, and the thing its certificate; one that was never active
    becomes it."""
    client.attach_policy(policyName=policy, target=arn)
    client.attach_thing_principal(thingName=device.name, principal=arn)
    saved = device.saved()
    if saved and saved.pending:
        client.update_certificate(certificateId=saved.certificate_id, newStatus="ACTIVE")
        device.note(Saved(saved.certificate_id, arn))


def _take_back(client: "IoTClient", device: Credentials, policy: str, arn: str) -> str | None:
    """Removes what `new_certificate` has made so far; what is left, in words, when that fails too. What is saved then
    stays, for the next run to go on."""
    gone = client.exceptions.ResourceNotFoundException
    try:
        with suppress(gone):
            client.detach_thing_principal(thingName=device.name, principal=arn)
        with suppress(gone):
            client.detach_policy(policyName=policy, target=arn)
        deactivate(client, arn)
        delete_certificate(client, arn)
    except AWS_ERRORS as error:
        return f"and its certificate {arn.rpartition('/')[2]} could not be taken back: {explain(error)}"
    with suppress(OSError):  # the disk may be the reason for all this
        device.forget()
    return None


def remove(client: "IoTClient", device: Credentials) -> bool:
    """Takes the thing away, every certificate attached to it, and what is saved; whether there was anything in AWS
    IoT."""
    certificates = principals(client, device.name)
    saved = device.saved()
    if saved and saved.pending and saved.certificate_arn not in certificates and known_certificate(client, device):
        certificates.append(saved.certificate_arn)  # of a run that was killed before it was attached
    for arn in certificates:
        with suppress(client.exceptions.ResourceNotFoundException):
            client.detach_thing_principal(thingName=device.name, principal=arn)
        for policy in policies(client, arn):
            client.detach_policy(policyName=policy, target=arn)
        deactivate(client, arn)
        delete_certificate(client, arn)
    found = bool(certificates)
    if is_temporary(client, device.name) is not None:
        delete_thing(client, device.name)
        found = True
    device.forget()
    return found


def deactivate(client: "IoTClient", certificate: str) -> None:
    """Only an inactive certificate can be deleted."""
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
            if code(error) not in ATTACHED or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_SECONDS)
