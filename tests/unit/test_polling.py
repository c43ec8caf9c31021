"""How often the daemon reads a shard: our class in the place of one of the KCL's, run with the real jars."""

import shutil
import subprocess
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest

from consumer.kcl.daemon_config import OWN_CLASSES, jars, java_command
from infra.local.process import ROOT

EMPTY, SOME = "0:0:10", "5:0:10"
"""Answers at the tip that take 10 ms."""


def compiler() -> str:
    """The major version of the Java compiler, or nothing."""
    if shutil.which("javac") is None:
        return ""
    answer = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    return answer.stdout.split()[1].split(".")[0]


pytestmark = pytest.mark.skipif(compiler() != "17", reason="needs the compiler that made the classes, javac 17")
Pauses = Callable[..., list[int]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Pauses.java on the daemon's own class path: the lines it prints."""
    folder = tmp_path_factory.mktemp("pauses")
    command = java_command(Path("java"), 64)
    path = command[command.index("-cp") + 1]
    subprocess.run(
        ["javac", "-proc:none", "-cp", path, "-d", str(folder), str(Path(__file__).parent / "Pauses.java")], check=True
    )

    def run(*answers: str) -> list[str]:
        name = "software.amazon.kinesis.retrieval.polling.Pauses"
        done = subprocess.run(
            ["java", "-cp", f"{path}:{folder}", name, *answers], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def pauses(program: Callable[..., list[str]]) -> Pauses:
    return lambda *answers: [int(line) for line in program(*answers)[2:]]


def test_the_jar_is_what_its_sources_compile_to_with_the_kcl_that_is_installed(tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "infra/classes.sh"), str(tmp_path / "classes.jar")], check=True)
    assert (tmp_path / "classes.jar").read_bytes() == OWN_CLASSES.read_bytes()


def test_the_kcl_takes_our_class_and_is_answered(program: Callable[..., list[str]]) -> None:
    assert program() == [str(OWN_CLASSES), "true"]
    assert list(jars().glob("amazon-kinesis-client-[0-9]*.jar"))


def test_a_shard_with_records_is_asked_every_quarter_second_whatever_an_answer_takes(pauses: Pauses) -> None:
    assert pauses(*[SOME] * 3, "1500:90000:120", "0:90000:200", "1500:0:400", SOME) == [
        *[240] * 3,
        130,
        50,  # no records, but more to come
        0,
        240,
    ]


def test_a_silent_shard_is_asked_less_often_in_step_with_its_silence(pauses: Pauses) -> None:
    found = pauses(*[EMPTY] * 150)
    periods = [pause + 10 for pause in found]
    silences = list(accumulate(periods))
    assert found == sorted(found)
    assert all(period == 250 for period, silence in zip(periods, silences, strict=True) if silence < 2500)
    assert all(period <= max(250, silence / 10) for period, silence in zip(periods, silences, strict=True))
    assert periods[-1] == 2000


def test_the_first_record_ends_the_long_pauses(pauses: Pauses) -> None:
    assert pauses(*[EMPTY] * 150, SOME, EMPTY)[-3:] == [1990, 240, 240]


def test_a_failed_read_and_an_answer_without_a_lag_are_no_silence(pauses: Pauses) -> None:
    assert pauses("failed:-:5000", "failed:-:5000", "0:-:10", "-:0:10") == [250, 250, 240, 240]
