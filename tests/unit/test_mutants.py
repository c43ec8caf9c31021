"""The mutants of the simulation still apply to the product's source; that each is caught: test_simulation.py."""

import subprocess
import sys

import pytest

from tests.simulation.mutants import MUTANTS, ROOT, Edit, Mutant, read


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_a_mutant_applies_and_compiles(mutant: Mutant) -> None:
    sources = mutant.sources()
    assert sources
    assert all((ROOT / file).read_text() != text for file, text in sources.items())


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 63


def test_a_patch_takes_the_place_of_whole_lines() -> None:
    text = "Heading\n== one (rare)\n# why\n@ a.py\n kept\n-old\n+new\n\n== two\n@ b.py\n-gone"
    assert list(read(text.splitlines())) == [
        Mutant("one", True, [Edit("a.py", "kept\nold\n", "kept\nnew\n")]),
        Mutant("two", False, [Edit("b.py", "gone\n", "")]),
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("no such line\n", "", "0 times instead of once"),
        ("\n", "", "times instead of once"),
        ("START: Final[Position] = (-1, -1)\n", "START = (\n", "does not compile"),
    ],
)
def test_a_patch_that_does_not_fit_is_reported_with_its_mutant(old: str, new: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"mutant 'some name': consumer/kcl/lease_table.py .*{says}"):
        Mutant("some name", edits=[Edit("consumer/kcl/lease_table.py", old, new)]).sources()


def test_a_fresh_process_imports_the_patched_source() -> None:
    program = """
from tests.simulation.mutants import Edit, Mutant, Patches
old = "START: Final[Position] = (-1, -1)\\n"
Patches(Mutant("other start", edits=[Edit("consumer/kcl/lease_table.py", old, "START = (-2, -2)\\n")])).install()
from consumer.kcl.lease_table import START
from tests.simulation.leases import START as also
print(START, also)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "(-2, -2) (-2, -2)\n"
