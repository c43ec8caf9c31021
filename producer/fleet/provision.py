"""A fleet's things, certificates and keys: made in AWS IoT, kept in a private folder, taken away again.

A device is made in an order in which a crash leaves nothing that could connect, and from which the next run goes on
with the same thing, certificate and key: the thing, marked as this deployment's; the certificate, inactive; its key,
saved with a note that it is not active yet; its policy; the thing's attachment; the certificate is activated; and the
note is taken back. A crash within the request for the certificate, or before it is saved, leaves an inactive one
without any right, and another is made: AWS IoT names certificates itself and keeps no tags of them. `make destroy`
finds a certificate once it has its policy.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from producer.aws.errors import UserError
from producer.fleet.credentials import Credentials, private_folder
from producer.fleet.registry import (
    OWNER,
    TEMPORARY,
    attach,
    deactivate,
    delete_certificate,
    delete_thing,
    iot_client,
    is_temporary,
    known_certificate,
    new_certificate,
    policies,
    principals,
    remove,
)

if TYPE_CHECKING:
    from types_boto3_iot import IoTClient
    from types_boto3_iot.type_defs import PaginatorConfigTypeDef

AT_ONCE = 8
"""Enough for the ten certificates a second that AWS IoT makes, at 0.1 s a request; more would only be throttled."""
PAGE: "PaginatorConfigTypeDef" = {"PageSize": 250}
"""The most that AWS IoT lists at once."""


def provision(
    session: boto3.Session,
    wanted: list[str],
    policy: str,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Credentials]:
    """Makes what is missing of each device and leaves the rest alone. `progress` is called with how many are
    done. It may be called again after any failure, and goes on."""
    client = iot_client(session)
    private_folder(folder)
    devices = [Credentials(name, folder / name) for name in wanted]
    ready = _ready(client, policy, devices)
    missing = [device for device in devices if device.name not in ready]
    progress(len(ready))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(lambda d: _provision(client, d, policy), missing), len(ready) + 1):
            progress(count)
    return devices


def _ready(client: "IoTClient", policy: str, devices: list[Credentials]) -> set[str]:
    """Names of the devices that need nothing: saved as finished, the policy still attached, their thing there.

    Asked for all at once, since AWS IoT describes only ten certificates a second.
    """
    saved = {
        device.name: found.certificate_arn for device in devices if (found := device.saved()) and not found.pending
    }
    if not saved:
        return set()
    pages = client.get_paginator("list_targets_for_policy").paginate(policyName=policy, PaginationConfig=PAGE)
    attached = {target for page in pages for target in page["targets"]}
    marked = client.get_paginator("list_things")
    things = marked.paginate(attributeName=OWNER, attributeValue=policy, PaginationConfig=PAGE)
    there = {
        thing["thingName"]
        for page in things
        for thing in page["things"]
        if not TEMPORARY.items() <= thing["attributes"].items()
    }
    return {name for name, arn in saved.items() if arn in attached and name in there}


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
    arn = known_certificate(client, device)
    if arn is None:
        new_certificate(client, device, policy)
    else:
        attach(client, device, policy, arn)


def deprovision(session: boto3.Session, wanted: list[str], folder: Path, policy: str) -> int:
    """Takes things and certificates away, in AWS IoT and in the folder; returns how many devices there were.

    UserError, before anything is taken away, for the first one with a certificate of other policies: it belongs to
    another stack, whose devices have the same names.
    """
    client = iot_client(session)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda name: _policies_of_others(client, name, policy), wanted)
        for name, others in zip(wanted, found, strict=True):
            if others:
                raise UserError(
                    f"device {name} has the policy {others[0]}, not this stack's {policy}; nothing was taken away. "
                    "Name its stack (--stack), or other devices (--prefix)"
                )
        gone = list(pool.map(lambda name: remove(client, Credentials(name, folder / name)), wanted))
    return sum(gone)


def _policies_of_others(client: "IoTClient", name: str, policy: str) -> list[str]:
    """Policies of the first of the device's certificates that has some, and this one not among them."""
    for arn in principals(client, name):
        found = policies(client, arn)
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
        freed = [things for things in pool.map(lambda arn: _free(client, arn, policy), targets) if things is not None]
        # Each thing once, and after all certificates: two of them may have been its own.
        list(pool.map(lambda name: _delete_if_bare(client, name), {name for things in freed for name in things}))
        things = client.get_paginator("list_things").paginate(attributeName=OWNER, attributeValue=policy)
        marked = [thing["thingName"] for page in things for thing in page["things"]]
        return len(freed) + sum(pool.map(lambda name: _delete_marked(client, name), marked))


def _free(client: "IoTClient", target: str, policy: str) -> list[str] | None:
    """Takes the policy from a target, and deletes it where it is a certificate that needed only this one; returns the
    things that had this certificate, None when it stays."""
    client.detach_policy(policyName=policy, target=target)
    if not _is_unneeded(client, target):
        return None
    things = client.list_principal_things(principal=target)["things"]
    for name in things:
        client.detach_thing_principal(thingName=name, principal=target)
    deactivate(client, target)
    delete_certificate(client, target)
    return things


def _delete_if_bare(client: "IoTClient", name: str) -> None:
    if not principals(client, name):
        delete_thing(client, name)


def _delete_marked(client: "IoTClient", name: str) -> bool:
    """A thing of ours with the certificates that only it has and that no policy needs; whether it is gone."""
    for arn in principals(client, name):
        if not _is_unneeded(client, arn):
            return False  # it has another permission: not ours to change
        client.detach_thing_principal(thingName=name, principal=arn)
        if not client.list_principal_things(principal=arn)["things"]:
            deactivate(client, arn)
            delete_certificate(client, arn)
    delete_thing(client, name)
    return True


def _is_unneeded(client: "IoTClient", target: str) -> bool:
    return ":cert/" in target and not policies(client, target)
