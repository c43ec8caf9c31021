"""Provisioning that fails or dies at any step: what is left in AWS IoT, and who finds it."""

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from producer.aws.errors import UserError
from producer.fleet import provision
from producer.fleet.provision import deprovision_all
from tests.conftest import Deployed

STEPS = ["create_thing", "create_keys_and_certificate", "attach_policy", "attach_thing_principal", "update_certificate"]


NOTHING = '{"Version": "2012-10-17", "Statement": []}'


class Died(BaseException):
    """The process is gone."""


class Wrong:
    """A client of IoT with one request that goes wrong, `before` it is made or after; with `dies` all after it, too."""

    def __init__(self, client: Any, step: str, before: bool, dies: bool) -> None:
        self._client, self._step, self._before, self._dies = client, step, before, dies
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if self._dead:
            raise Died
        if name != self._step:
            return real

        def request(**arguments: Any) -> Any:
            if not self._before:
                real(**arguments)
            self._dead, self._step = self._dies, ""
            raise Died if self._dies else EndpointConnectionError(endpoint_url="x")

        return request


class Account:
    """A policy of its own, and what there is of certificates and things."""

    def __init__(self, session: boto3.Session, folder: Path) -> None:
        self.session, self.folder = session, folder
        self.iot: Any = session.client("iot")
        self.policy = f"own-{uuid.uuid4().hex[:8]}"
        self.name = f"{self.policy}-device"
        self.iot.create_policy(policyName=self.policy, policyDocument=NOTHING)
        self._before = self._certificates()

    def _certificates(self) -> dict[str, str]:
        return {each["certificateId"]: each["status"] for each in self.iot.list_certificates()["certificates"]}

    def new(self) -> list[str]:
        """Status of each certificate that was not there at first."""
        return [status for name, status in self._certificates().items() if name not in self._before]

    def thing(self) -> bool:
        return self.name in [each["thingName"] for each in self.iot.list_things()["things"]]

    def provision(self) -> None:
        provision.provision(self.session, [self.name], self.policy, self.folder)

    def destroy(self) -> None:
        deprovision_all(self.iot, self.policy)


@pytest.fixture
def account(stack: Deployed, tmp_path: Path) -> Iterator[Account]:
    made = Account(stack.session, tmp_path / "devices")
    yield made
    made.destroy()
    made.iot.delete_policy(policyName=made.policy)


def goes_wrong(account: Account, step: str, before: bool, dies: bool) -> None:
    wrong = Wrong(account.iot, step, before, dies)
    with (
        mock.patch.object(provision, "iot_client", return_value=wrong),
        pytest.raises(Died if dies else EndpointConnectionError),
    ):
        account.provision()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_taken_back(account: Account, step: str, before: bool) -> None:
    """But a certificate whose creation was never answered: no one knows its name, it is inactive and has no right."""
    goes_wrong(account, step, before, dies=False)
    unknown = ["INACTIVE"] if (step, before) == ("create_keys_and_certificate", False) else []
    assert account.new() == unknown
    account.provision()
    assert sorted(account.new()) == ["ACTIVE", *unknown]
    account.destroy()
    assert (account.new(), account.thing()) == (unknown, False)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_destroy_finds_what_a_crash_left(account: Account, step: str, before: bool) -> None:
    goes_wrong(account, step, before, dies=True)
    assert "ACTIVE" not in account.new() or (step, before) == ("update_certificate", False)
    account.destroy()
    unknown = (step, before) in [("create_keys_and_certificate", False), ("attach_policy", True)]
    assert (account.new(), account.thing()) == (["INACTIVE"] if unknown else [], False)


@pytest.mark.parametrize("write", [0, 1, 2, 3])
def test_a_key_that_cannot_be_saved_leaves_no_certificate(account: Account, write: int) -> None:
    writes = iter(range(9))

    def full(number: int) -> None:
        if next(writes) == write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch("os.fsync", full), pytest.raises(UserError, match="No space left") as reported:
        account.provision()
    assert ("nothing was made" if write == 0 else "its certificate was taken back") in str(reported.value)
    assert (account.new(), list(account.folder.rglob("*.*"))) == ([], [])
    account.provision()
    assert account.new() == ["ACTIVE"]


def test_a_torn_identity_is_no_certificate(account: Account) -> None:
    account.provision()
    (account.folder / account.name / "device.json").write_text('{"certif')
    account.provision()
    assert account.new() == ["ACTIVE", "ACTIVE"]
    account.destroy()
    assert (account.new(), account.thing()) == ([], False)


def test_a_thing_that_others_use_stays(account: Account) -> None:
    account.provision()
    other = account.iot.create_keys_and_certificate(setAsActive=True)
    account.iot.create_policy(
        policyName=f"{account.policy}-2", policyDocument='{"Version":"2012-10-17","Statement":[]}'
    )
    account.iot.attach_policy(policyName=f"{account.policy}-2", target=other["certificateArn"])
    account.iot.attach_thing_principal(thingName=account.name, principal=other["certificateArn"])
    account.destroy()
    assert (account.new(), account.thing()) == (["ACTIVE"], True)
    deprovision_all(account.iot, f"{account.policy}-2")
    account.iot.delete_policy(policyName=f"{account.policy}-2")
