"""compose.yaml, as far as it can be looked at without running it; make check holds it against compose's schema."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml

from infra.local.process import ROOT
from infra.switches import words
from producer.cli import cli

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Source of each mount by its target."""
    return {each.split(":")[1]: each.split(":")[0] for each in service.get("volumes", [])}


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for source in mounts(service).values():
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_all_share_the_network_of_the_emulator_which_publishes_on_loopback_only() -> None:
    for name, service in SERVICES.items():
        assert name == "aws" or service["network_mode"] == "service:aws"
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["aws"]["ports"])


def test_dependencies_are_services_and_what_is_waited_for_has_a_check() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert name in SERVICES
            if how["condition"] == "service_healthy" and name != "consumer":  # whose image has one
                assert "test" in SERVICES[name]["healthcheck"]
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


def test_the_emulator_is_started_with_what_make_up_takes_and_of_files_that_the_build_gets() -> None:
    command = SERVICES["aws"]["command"]
    assert command[:4] == ["python", "-m", "infra.local", "up"]
    assert words("up", command[4:]) == ({"CONSUMER": "no", "CONSOLE": "no"}, [])
    recipe = SERVICES["aws"]["build"]["dockerfile_inline"]
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for path in re.search(r"COPY (.*) /tmp/requirements/", recipe)[1].split():  # type: ignore[index]
        assert (ROOT / path).is_file()
        assert f"!{path.partition('/')[0]}" in allowed


def test_the_packages_of_the_emulators_container_are_all_that_its_code_imports() -> None:
    """requirements/local.txt is enough for the code that deploys, too."""
    code = "import sys, infra.local.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    third = set(done.stdout.split()) - set(sys.stdlib_module_names)
    of_boto3 = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"}
    where_there = {"awscrt", "backports", "certifi"}  # botocore and urllib3 take them if they find them
    measuring = {"coverage", "a1_coverage", "$coverage"}  # make test
    own = {"consumer", "infra", "producer"}
    allowed = of_boto3 | where_there | measuring | own | {"yaml", "cython_runtime"}
    assert {name for name in third if not name.startswith("_")} <= allowed
    installed = (ROOT / "requirements/local.txt").read_text()
    for package in ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six", "pyyaml"):
        assert f"\n{package}==" in f"\n{installed}"


@pytest.mark.parametrize("name", ["console", "devices"])
def test_what_the_tools_run_is_a_command_of_theirs(name: str) -> None:
    _, _, line = SERVICES[name]["command"][-1].partition("python -m producer ")
    command, *words = shlex.split(line)
    chosen = cli.commands[command].make_context(command, words).params
    if "port" in chosen:
        assert f"127.0.0.1:{chosen['port']}:{chosen['port']}" in SERVICES["aws"]["ports"]


def test_prometheus_and_grafana_are_configured_by_what_is_mounted() -> None:
    prometheus, grafana = SERVICES["prometheus"], SERVICES["grafana"]
    config = prometheus["command"][0].partition("=")[2]
    source = mounts(prometheus)["/etc/prometheus"]
    assert (ROOT / source / config.removeprefix("/etc/prometheus/")).is_file()
    assert grafana["environment"].keys() >= {"PROMETHEUS_URL", "SENSORSTREAM_DASHBOARDS"}
    assert grafana["environment"]["SENSORSTREAM_DASHBOARDS"] in mounts(grafana)
    assert grafana["image"] in (ROOT / "docs/monitoring.md").read_text()
