"""The variables of make's command line: what a target does not take is refused; the environment counts for nothing."""

import ast
import os
import re
import subprocess
from collections.abc import Mapping

import pytest

from infra.local.process import ROOT
from infra.switches import SWITCHES, TARGETS, SwitchError, nearest, words, yes

MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What make would do; it runs nothing."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | dict(environment or {})
    command = ["make", "--dry-run", "--assume-old=setup", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["destroy", "STACK=s", "KEEPDATA=1", "YES=1"], "make destroy takes no KEEPDATA: did you mean KEEP_DATA?"),
        (["destroy", "STACK=s", "keep_data=1"], "did you mean KEEP_DATA?"),
        (["destroy", "STACK=s", "DELETEDATA=s"], "did you mean DELETE_DATA?"),
        (["destroy", "stack=s"], "did you mean STACK?"),
        (["plan", "PARAM=ShardCount=2"], "make plan takes no PARAM: did you mean PARAMS?"),
        (["demo", "DEVICE=5"], "make demo takes no DEVICE: did you mean DEVICES?"),
        (["plan", "STACK=s", "ShardCount=4"], 'parameters of the templates go into PARAMS="ShardCount=..."'),
        (["up", "DEVICES=5"], "make up takes no DEVICES (make demo, make alert-storm would): "),
        (["demo", "KEEP_DATA=1"], "make demo takes no KEEP_DATA (make destroy would): it takes "),
        (["image", "STACK=s"], "make image takes no STACK (make demo, make up, "),
        (["clean", "ALL=1"], "make clean takes no ALL: it takes none"),
        (["ALL=1"], "make takes no ALL"),
        (["deploy", "MAKE_IT=1"], "make deploy takes no MAKE_IT"),
        (["destroy", "STACK=s", "YES=1", "KEEP_DATA"], "KEEP_DATA alone says nothing: KEEP_DATA=value"),
        (["demo", "destory"], "there is no target destory; did you mean destroy?"),
        (["demo", "AWS_PROT=5566"], "make demo takes no AWS_PROT: did you mean AWS_PORT?"),
        (["up", "AWSPORT=5566"], "make up takes no AWSPORT: did you mean AWS_PORT?"),
        (["up", "LOCALDIR=x"], "make up takes no LOCALDIR: did you mean LOCAL_DIR?"),
        (["test", "PYTHN=python3.12"], "make test takes no PYTHN: did you mean PYTHON?"),
        (["demo", "it's=1"], "make demo takes no it's"),
    ],
)
def test_make_refuses_what_a_target_does_not_take(arguments: list[str], reported: str) -> None:
    done = make(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert reported in done.stderr
    assert done.stderr.count("\n") == 1


def test_values_reach_the_command_as_they_were_given() -> None:
    done = make("deploy", "STACK=s", "PARAMS=A=1 B='x y' C=$(shell echo no)", "IMAGE=a;b")
    assert done.returncode == 0, done.stderr
    assert """'PARAMS=A=1 B='\\''x y'\\'' C=$(shell echo no)'""" in done.stdout
    assert "'IMAGE=a;b'" in done.stdout
    assert "'STACK=s'" in done.stdout


@pytest.mark.parametrize("target", ["demo", "up", "deploy", "plan", "destroy", "package"])
def test_the_environment_reaches_no_command(target: str) -> None:
    foreign = dict.fromkeys(SWITCHES, "of-others")
    bare, done = make(target), make(target, environment=foreign)
    assert (done.returncode, done.stdout) == (0, bare.stdout)
    assert "of-others" not in done.stdout


def test_the_environment_names_no_image_to_overwrite() -> None:
    done = make("image", environment={"IMAGE": "postgres:17", "ARCH": "x"})
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "infra/image/build.sh sensorstream:local",
        "TARGET=tools infra/image/build.sh sensorstream:local-tools",
    ]


def test_a_command_does_not_see_them_either(tmp_path: object) -> None:
    """Those that make passes on by the environment."""
    probe = f"{tmp_path}/probe.mk"
    with open(probe, "w") as file:
        file.write(f"include {ROOT}/Makefile\nprobe:\n\t@env\n")
    env = {**os.environ, "STACK": "of-others", "SEED": "7"}
    command = ["make", "-s", "-f", probe, "probe"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert "STACK=" not in done.stdout
    assert "SEED=" not in done.stdout


@pytest.mark.parametrize(
    "setting", ["PYTHON=python3", "AWS_PROFILE=x", "AWS_REGION=x", "PIP_INDEX_URL=x", "JAVA=x", "LOCAL_DIR=x"]
)
def test_settings_of_the_machine_are_taken_by_every_target(setting: str) -> None:
    assert make("deploy", setting).returncode == 0
    assert make("demo", setting).returncode == 0


def test_every_target_says_what_it_takes() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
    assert targets == TARGETS.keys()
    for target, text in re.findall(r"^([a-z-]+):.*## (.*)", MAKEFILE, re.MULTILINE):
        assert set(re.findall(r"\b([A-Z][A-Z_]+)=", text)) <= set(TARGETS[target]), target


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_what_the_documents_show_is_taken(document: str) -> None:
    for target, rest in re.findall(
        r"make ([a-z-]+)((?: [A-Z_]+=(?:\"[^\"]*\"|[^\s`#]*))+)", (ROOT / document).read_text()
    ):
        if target in TARGETS:
            words(target, [f"{name}=x" for name in re.findall(r" ([A-Z_]+)=", rest)])


@pytest.mark.parametrize(("text", "on"), [("1", True), ("yes", True), ("TRUE", True), ("0", False), ("No", False)])
def test_yes_and_no(text: str, on: bool) -> None:
    assert yes("YES", text) is on
    for wrong in ("y", "2", "on", "off", "si", " "):
        with pytest.raises(SwitchError, match="must be one of"):
            yes("YES", wrong)


def test_the_nearest_is_like_it_or_none() -> None:
    assert nearest("KEEPDATA", ["STACK", "KEEP_DATA"]) == "KEEP_DATA"
    assert nearest("XYZ", ["STACK", "KEEP_DATA"]) is None


@pytest.mark.parametrize("program", ["switches.py", "indexes.py"])
def test_what_runs_before_there_is_an_environment_is_read_by_old_pythons(program: str) -> None:
    ast.parse((ROOT / "infra" / program).read_text(), feature_version=(3, 8))
