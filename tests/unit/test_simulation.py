"""A part of `make crashtest` and `make crashtest-mutants`, quick enough for every run of the tests."""

import os
import subprocess
import sys

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, hunt
from tests.simulation.schedule import run


def test_no_schedule_breaks_an_invariant() -> None:
    failed = {seed: violation for seed in range(300) if (violation := run(seed).violation)}
    assert failed == {}  # shown by: make crashtest SCHEDULES=1 SEED=...


@pytest.mark.parametrize("mutant", [pytest.param(m, id=m.name) for m in MUTANTS if not m.rare])
def test_broken_code_is_caught(mutant: Mutant) -> None:
    schedules, violation = hunt(mutant, 3000, 1)
    assert violation, f"not caught in {schedules} schedules"


def test_a_seed_gives_the_same_schedule_in_every_process() -> None:
    def reported(hash_seed: str) -> list[str]:
        command = [sys.executable, "-m", "tests.simulation", "crashtest", "1", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        return output.splitlines()[:-1]

    assert reported("1") == reported("2")
    assert reported("1")
