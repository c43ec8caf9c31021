"""How often the daemon reads a shard: our class in the place of one of the KCL's, run with the real jars."""

import shutil
import subprocess
from collections.abc import Callable
from itertools import accumulate, pairwise
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
"""Answers of a shard that begins in a group at a time by the clock, to the pauses after them."""


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
    return lambda *answers, begin="0:1000000": [int(line) for line in program(begin, *answers)[2:]]


def test_the_jar_is_what_its_sources_compile_to_with_the_kcl_that_is_installed(tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "infra/classes.sh"), str(tmp_path / "classes.jar")], check=True)
    assert (tmp_path / "classes.jar").read_bytes() == OWN_CLASSES.read_bytes()


def test_the_kcl_takes_our_class_and_is_answered(program: Callable[..., list[str]]) -> None:
    assert program("0:0") == [str(OWN_CLASSES), "true"]
    assert list(jars().glob("amazon-kinesis-client-[0-9]*.jar"))


def test_a_shard_with_records_is_asked_every_quarter_second_whatever_an_answer_takes(pauses: Pauses) -> None:
    assert pauses(*[SOME] * 3, "1500:90000:120", "0:90000:200", "1500:0:400", SOME) == [
        *[240] * 3,
        130,
        50,  # no records, but more to come
        0,
        340,  # in step with the other shards again
    ]


def test_a_silent_shard_is_asked_less_often_in_step_with_its_silence(pauses: Pauses) -> None:
    found = pauses(*[EMPTY] * 150)
    periods = [pause + 10 for pause in found]
    silences = list(accumulate(periods))
    assert sorted(set(periods)) == [250, 500, 1000, 2000]
    assert all(period == 250 for period, silence in zip(periods, silences, strict=True) if silence < 5000)
    assert all(period <= max(250, silence / 10) for period, silence in zip(periods, silences, strict=True))
    assert periods[-1] == 2000


@pytest.mark.parametrize("answer", [SOME, EMPTY])
def test_shards_of_a_group_are_asked_at_the_same_moments(pauses: Pauses, answer: str) -> None:
    moments = []
    for begin in (1_000_000, 1_000_101, -77):  # the clock may be negative
        found = pauses(*[answer] * 150, begin=f"0:{begin}")
        asked = accumulate((pause + 10 for pause in found), initial=begin)
        moments.append([moment % 2000 for moment in asked][-8:])
    assert moments[0] == moments[1] == moments[2]


def test_groups_are_asked_at_different_moments(pauses: Pauses) -> None:
    phases = sorted((pauses(SOME, begin=f"{group}:1000000")[0] + 10) % 250 for group in range(4))
    assert all(30 <= later - before <= 100 for before, later in pairwise([*phases, phases[0] + 250]))


def test_a_shard_that_is_behind_waits_for_no_other(pauses: Pauses) -> None:
    assert pauses(*["1500:90000:10"] * 3, "1500:90000:300", "1500:90000:10", begin="0:1000101") == [
        240,
        240,
        240,
        0,
        240,
    ]


def test_no_shard_is_asked_much_sooner_or_later_than_the_others_moments_ask_for(pauses: Pauses) -> None:
    for begin in range(1_000_000, 1_000_250, 83):
        first, *others = (pause + 10 for pause in pauses(*[SOME] * 4, begin=f"3:{begin}"))
        assert 125 <= first <= 375
        assert others == [250] * 3


def test_the_first_record_ends_the_long_pauses(pauses: Pauses) -> None:
    assert pauses(*[EMPTY] * 150, SOME, EMPTY)[-3:] == [1990, 240, 240]


def test_a_failed_read_and_an_answer_without_a_lag_are_no_silence(pauses: Pauses) -> None:
    assert pauses("failed:-:5000", "failed:-:5000", "0:-:10", "-:0:10") == [250, 250, 240, 240]
