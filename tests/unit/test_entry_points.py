"""All callers use our programs with arguments that these accept: make, shell scripts, templates."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.deploy.cli import commands
from infra.deploy.templates import INFRA
from producer.cli import cli
from tests.unit.policies import Resource, label, of, text

ROOT = INFRA.parent
CALL = re.compile(
    r"(?:python3?|\(PY\)|python\") -m (?P<module>(?:infra|tests|consumer|producer)[\w.]*)(?P<words>[^;&|)\n]*)"
)
VALUES = {"config.grafana", "tests.bench", "tests.branches"}  # the first word is a value, or missing


def calls() -> Iterator[tuple[str, str, list[str]]]:
    for path in (ROOT / "Makefile", *sorted(INFRA.rglob("*.sh"))):
        for found in CALL.finditer(path.read_text()):
            yield path.name, found["module"], found["words"].split()


@pytest.mark.parametrize(("caller", "module", "words"), list(calls()))
def test_a_call_names_a_program_and_a_command_that_it_knows(caller: str, module: str, words: list[str]) -> None:
    spec = importlib.util.find_spec(module)
    assert spec, f"{caller} calls {module}"
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec
    assert spec.origin
    program = Path(spec.origin)
    assert '__name__ == "__main__"' in program.read_text() or program.name == "__main__.py"
    if words and not words[0].startswith("$") and module not in VALUES:
        assert re.fullmatch(r"[a-z-]+", words[0]), f"{caller} gives {module} {words[0]} where a command must be"
        assert words[0] in commands.commands if module == "infra" else f'"{words[0]}"' in program.read_text()


def test_the_registry_is_asked_for_a_token_by_the_command_and_the_region() -> None:
    [words] = [words for caller, module, words in calls() if (caller, module) == ("push.sh", "infra")]
    assert words[0] == "token"
    assert len(words) == 2, words


def test_a_word_that_is_no_command_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dploy", "STACK=s"]) == 2
    reported = capsys.readouterr().err
    assert (reported.count("\n"), "dploy" in reported) == (1, True)


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (["STACK=My_Stack"], "STACK=My_Stack: a name is"),
        (["STACK=s", "ARCH=arm"], "ARCH=arm must be one of ARM64, X86_64"),
    ],
)
def test_a_push_of_what_cannot_be_ends_before_aws_is_asked(
    words: list[str], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", *words]) == 2
    assert capsys.readouterr().err.startswith(f"sensorstream: {reported}")


@pytest.mark.parametrize(
    ("program", "reported"),
    [
        (["-m", "infra", "destroy", "--yes=maybe"], "stopped with exit code 2: "),
        (["-m", "infra", "destroy", "STACK="], "stopped with exit code 2: "),
        (["-m", "tests.faults", "kill-daemon"], "takes no words"),
    ],
)
def test_under_make_a_wrong_argument_reports_its_exit_code(program: list[str], reported: str) -> None:
    env = {**os.environ, "MAKELEVEL": "1"}
    done = subprocess.run(
        [sys.executable, *program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert reported in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", ["push.sh", "build.sh"])
def test_a_script_without_its_words_says_which(script: str) -> None:
    done = subprocess.run([INFRA / "image" / script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"usage: infra/image/{script} IMAGE" in done.stderr


@pytest.mark.parametrize("task", of("AWS::ECS::TaskDefinition"), ids=label)
def test_a_tasks_command_is_one_of_ours(task: Resource) -> None:
    [container] = task.properties["ContainerDefinitions"]
    if "Command" in container:
        python, _, program, *words = [each if isinstance(each, str) else "7" for each in container["Command"]]
        assert (python, program) == ("python", "producer"), text(container["Command"])
        cli.commands[words[0]].make_context(words[0], words[1:])
