"""Provisioning that fails or dies at any step: what is left in AWS IoT, and who finds it."""

import errno
import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import EndpointConnectionError

from producer.aws.errors import UserError
from producer.fleet import provision
from producer.fleet.credentials import Credentials
from producer.fleet.provision import deprovision_all
from producer.fleet.registry import iot_client
from tests.conftest import Deployed

STEPS = ["create_thing", "create_keys_and_certificate", "attach_policy", "attach_thing_principal", "update_certificate"]


NOTHING = '{"Version": "2012-10-17", "Statement": []}'


class Died(BaseException):
    """The process is gone."""


class Wrong:
    """A client of IoT with one request that goes wrong, `before` it is made or after, the one at place `at` of its
    kind; if that is `lasting`, all after it, too."""

    def __init__(self, client: Any, step: str, before: bool, error: BaseException, lasting: bool, at: int = 1) -> None:
        self._client, self._step, self._before, self._error = client, step, before, error
        self._places = itertools.count(1)
        self._at = at
        self._lasting = lasting
        self._over = False

    @property
    def exceptions(self) -> Any:
        if isinstance(self._error, Died) and self._over:
            raise self._error  # no line is carried out any more
        return self._client.exceptions

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if self._over:
            raise self._error
        if name != self._step:
            return real

        def request(**arguments: Any) -> Any:
            if next(self._places) < self._at:
                return real(**arguments)
            if not self._before:
                real(**arguments)
            self._over, self._step = self._lasting, ""
            raise self._error

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

    def principals(self) -> int:
        """How many certificates the thing has."""
        return len(self.iot.list_thing_principals(thingName=self.name)["principals"])

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


UNREACHABLE = EndpointConnectionError(endpoint_url="x")


def goes_wrong(account: Account, step: str, before: bool, error: BaseException, lasting: bool = True) -> None:
    wrong = Wrong(account.iot, step, before, error, lasting)
    with mock.patch.object(provision, "iot_client", return_value=wrong), pytest.raises(type(error)):
        account.provision()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_taken_back(account: Account, step: str, before: bool) -> None:
    """But a certificate whose creation was never answered: no one knows its name, it is inactive and has no right."""
    goes_wrong(account, step, before, UNREACHABLE, lasting=False)
    unknown = ["INACTIVE"] if (step, before) == ("create_keys_and_certificate", False) else []
    assert account.new() == unknown
    account.provision()
    assert sorted(account.new()) == ["ACTIVE", *unknown]
    account.destroy()
    assert (account.new(), account.thing()) == (unknown, False)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_destroy_finds_what_a_crash_left(account: Account, step: str, before: bool) -> None:
    goes_wrong(account, step, before, Died())
    assert "ACTIVE" not in account.new() or (step, before) == ("update_certificate", False)
    account.destroy()
    unknown = (step, before) in [("create_keys_and_certificate", False), ("attach_policy", True)]
    assert (account.new(), account.thing()) == (["INACTIVE"] if unknown else [], False)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [Died(), UNREACHABLE], ids=["killed", "unreachable"])
def test_the_next_run_goes_on_where_one_ended(account: Account, step: str, before: bool, error: BaseException) -> None:
    """With the same thing, certificate and key, once there is a key."""
    goes_wrong(account, step, before, error)
    key, saved = account.folder / account.name / "private.key", STEPS.index(step) > 1
    kept = key.read_bytes() if saved else b""
    assert key.exists() == saved
    account.provision()
    unknown = ["INACTIVE"] if (step, before) == ("create_keys_and_certificate", False) else []
    assert sorted(account.new()) == ["ACTIVE", *unknown]
    assert account.principals() == 1
    assert key.read_bytes().startswith(kept or b"-----BEGIN")
    account.provision()
    assert sorted(account.new()) == ["ACTIVE", *unknown]


@pytest.mark.parametrize("step", STEPS[2:])
def test_what_a_killed_run_has_saved_can_be_taken_away(account: Account, step: str) -> None:
    goes_wrong(account, step, before=True, error=Died())
    provision.deprovision(account.session, [account.name], account.folder, account.policy)
    assert (account.new(), account.thing(), list(account.folder.iterdir())) == ([], False, [])


def test_a_killed_run_of_many_loses_nothing_and_asks_for_nothing_twice(account: Account) -> None:
    names = [f"{account.name}-{number}" for number in range(12)]
    dying = Wrong(account.iot, "update_certificate", before=True, error=Died(), lasting=True, at=5)
    with mock.patch.object(provision, "iot_client", return_value=dying), pytest.raises(Died):
        provision.provision(account.session, names, account.policy, account.folder)
    keys = {path: path.read_bytes() for path in account.folder.rglob("private.key")}
    assert len(keys) >= 5
    made: list[str] = []
    account.iot.meta.events.register("before-call", lambda model, **_: made.append(model.name))
    with mock.patch.object(provision, "iot_client", return_value=account.iot):
        provision.provision(account.session, names, account.policy, account.folder)
        assert made.count("CreateKeysAndCertificate") == len(names) - len(keys)
        assert made.count("UpdateCertificate") == len(names) - 4
        made.clear()
        provision.provision(account.session, names, account.policy, account.folder)
    assert made == ["ListTargetsForPolicy", "ListThings"]
    assert account.new() == ["ACTIVE"] * len(names)
    assert all(path.read_bytes() == key for path, key in keys.items())


def test_what_is_throttled_is_asked_again(account: Account) -> None:
    refused = iter(["CreateThing", "CreateKeysAndCertificate", "AttachPolicy", "UpdateCertificate"])
    waiting = [next(refused)]

    def throttled(request: AWSPreparedRequest, event_name: str, **_: Any) -> Any:
        if not event_name.endswith(waiting[0]):
            return None
        waiting[0] = next(refused, "nothing more")
        body = mock.Mock(stream=lambda **_: iter([b'{"message": "Rate exceeded"}']))
        headers: Any = HeadersDict({"x-amzn-ErrorType": "ThrottlingException"})
        return AWSResponse(request.url, 400, headers, body)

    client = iot_client(account.session)
    client.meta.events.register("before-send", throttled)
    with mock.patch.object(provision, "iot_client", return_value=client):
        account.provision()
    assert (waiting, account.new()) == (["nothing more"], ["ACTIVE"])


def test_a_certificate_that_somebody_deactivated_stays_so(account: Account) -> None:
    account.provision()
    saved = Credentials(account.name, account.folder / account.name).certificate_id()
    account.iot.update_certificate(certificateId=saved, newStatus="INACTIVE")
    account.provision()
    assert account.new() == ["INACTIVE"]


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
