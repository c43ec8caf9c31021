"""The image: what it is made of."""

import re
import tomllib
from pathlib import Path

from infra.local.process import ROOT
from tests.image.engine import Image

MOST_BYTES = 250e6


def test_it_is_small(image: Image) -> None:
    assert image.facts["Size"] < MOST_BYTES


def test_no_process_is_root(image: Image) -> None:
    assert image.output("id", "-u") == "10001\n"


def test_its_folder_for_files_is_the_only_place_to_write_to(image: Image) -> None:
    program = "import os; [print(path) for path, _, _ in os.walk('/') if os.access(path, os.W_OK)]"
    places = image.output("python", "-c", program).split()
    assert [path for path in places if not path.startswith(("/dev", "/proc"))] == ["/run/sensorstream"]


def test_no_file_is_setuid_or_world_writable(image: Image) -> None:
    risky = ["-type", "f", "-perm", "/6000", "-o", "-perm", "-0002", "!", "-perm", "-1000"]
    found = image.output("find", "/", "-xdev", "!", "-type", "l", "(", *risky, ")", "-print", user="0")
    assert [path for path in found.split() if not path.startswith("/dev/")] == []


def test_they_know_every_service_that_the_code_asks(image: Image, tools: Image) -> None:
    for made, package, some in ((image, "consumer", {"kinesis", "s3"}), (tools, "producer", {"iot", "sns"})):
        code = "".join(path.read_text() for path in (ROOT / package).rglob("*.py"))
        asked = set(re.findall(r'(?:client|create|resource)\(\s*"([a-z0-9-]+)"', code))
        assert some <= asked
        program = f"import boto3; [boto3.client(name, region_name='eu-central-1') for name in {sorted(asked)}]"
        made.output("python", "-c", program)


def test_the_service_carries_neither_the_commands_nor_what_they_alone_need(image: Image, tools: Image) -> None:
    program = "from importlib.util import find_spec; print([find_spec(name) is not None for name in {}])"
    for names, has in ((["producer", "awscrt", "awsiot"], False), (["consumer", "amazon_kclpy"], True)):
        assert image.output("python", "-c", program.format(names)).strip() == str([has] * len(names))
    assert tools.output("python", "-c", program.format(["producer", "awscrt"])).strip() == str([True, True])


def test_it_shows_the_version_of_the_package(image: Image) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert image.output("python", "-m", "consumer", "--version").strip() == version


def test_java_and_python_know_the_public_authorities(image: Image) -> None:
    trusted = image.output("/opt/java/bin/keytool", "-list", "-cacerts", "-storepass", "changeit")
    assert trusted.count("trustedCertEntry") > 100
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(image.output("python", "-c", count)) > 100


def test_nothing_of_the_machine_that_built_it_is_in_it(image: Image) -> None:
    assert image.output("cat", "/etc/apt/sources.list").count("://") == 3
    config = image.facts["Config"]
    said = " ".join([*config["Env"], *(config["Labels"] or {}).values()])
    assert "://" not in said
    assert str(Path.home()) not in said
