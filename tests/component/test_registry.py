"""Where make push takes an image, and by which password; the pushing itself: tests/image/test_push.py."""

import pytest

from infra.__main__ import main
from infra.deploy.image import repository, token
from tests.conftest import Deployed


def test_the_repository_is_found_by_the_deployments_name(stack: Deployed) -> None:
    assert repository(stack.session, stack.name) == stack.outputs["RepositoryUri"]


def test_the_token_is_the_password_alone(stack: Deployed) -> None:
    password = token(stack.session)
    assert password
    assert ":" not in password


def test_what_is_no_deployment_is_a_user_error(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    assert main(["push", "STACK=nobody"]) == 2
    assert capsys.readouterr().err == "sensorstream: there is no deployment nobody with a repository in eu-central-1\n"


def test_no_deployment_at_all_is_a_user_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACK", "of-somebody-else")  # no command looks at it
    assert main(["push"]) == 2
    assert capsys.readouterr().err == "sensorstream: name the deployment: STACK=name\n"
