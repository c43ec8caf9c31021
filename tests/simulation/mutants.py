"""Mutants: source patches of the product (mutants.diff), applied when a fresh process imports the patched modules.

    python -m tests.simulation.mutants NAME SCHEDULES SEED

runs schedules of one mutant until one violates an invariant, and prints one line of JSON.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PROGRAMMING_ERRORS: Final = ("AttributeError(", "ImportError(", "NameError(", "TypeError(", "UnboundLocalError(")
"""What a patch raises that no longer fits its surroundings: that catches nothing."""


class Edit(NamedTuple):
    """A replacement of whole lines in one source file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A named way to break the product."""

    name: str
    rare: bool = False
    """It takes many schedules to catch: a chain of several owners' misfortunes."""
    edits: list[Edit] = field(default_factory=list)

    def sources(self) -> dict[str, str]:
        """The patched files' whole text, by path below the repository. Raises ValueError where a patch does not apply
        or does not compile; the message names the mutant."""
        sources: dict[str, str] = {}
        for file, old, new in self.edits:
            text = sources.get(file) or (ROOT / file).read_text()
            if (found := text.count(old)) != 1:
                raise ValueError(f"mutant {self.name!r}: {file} has these lines {found} times instead of once:\n{old}")
            sources[file] = text.replace(old, new)
        for file, text in sources.items():
            try:
                compile(text, file, "exec")
            except SyntaxError as error:
                raise ValueError(f"mutant {self.name!r}: {file} does not compile: {error}") from error
        return sources


def read(lines: Sequence[str]) -> Iterator[Mutant]:
    """The mutants of a text such as mutants.diff."""
    mutant: Mutant | None = None
    for line in [*lines, "== end"]:
        mark, rest = line[:1], line[1:] + "\n"
        if line.startswith("== "):
            if mutant:
                yield mutant
            name = line[3:].removesuffix(" (rare)")
            mutant = Mutant(name, rare=line.endswith(" (rare)"))
        elif mutant and mark == "@":
            mutant.edits.append(Edit(line[2:], "", ""))
        elif mutant and mutant.edits and mark in " +-" and mark:
            file, old, new = mutant.edits.pop()
            mutant.edits.append(Edit(file, old + rest * (mark in " -"), new + rest * (mark in " +")))


MUTANTS: Final = tuple(read((Path(__file__).with_suffix(".diff")).read_text().splitlines()))


class _Loader(SourceFileLoader):
    """Loads a module from another text than its file's."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._text, self.path, "exec")
        return code


class Patches(MetaPathFinder):
    """Finds the modules that a mutant patches, before all other finders do."""

    def __init__(self, mutant: Mutant) -> None:
        self._sources = {str(ROOT / file): text for file, text in mutant.sources().items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin not in self._sources:
            return None
        spec.loader = _Loader(fullname, spec.origin, self._sources.pop(spec.origin))
        return spec

    def install(self) -> None:
        loaded = {getattr(module, "__file__", None) for module in sys.modules.values()}
        assert loaded.isdisjoint(self._sources), "a module to be patched is imported already"
        sys.meta_path.insert(0, self)


def hunt(mutant: Mutant, schedules: int, seed: int) -> tuple[int, str | None]:
    """How many schedules it took to catch a mutant, and by what; or None. In a process of its own."""
    command = [sys.executable, "-m", "tests.simulation.mutants", mutant.name, str(schedules), str(seed)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return schedules, None
    count, violation = json.loads(done.stdout)
    return count, violation


def main(name: str, schedules: int, seed: int) -> int:
    """Runs in the fresh process; returns the exit code."""
    Patches(next(mutant for mutant in MUTANTS if mutant.name == name)).install()
    from tests.simulation.schedule import prepare, run

    prepare()
    for count in range(1, schedules + 1):
        violation = run(seed + count - 1).violation
        if violation and any(error in violation for error in PROGRAMMING_ERRORS):
            print(f"mutant {name!r}: its patch does not run: {violation}", file=sys.stderr)
            return 1
        if violation:
            print(json.dumps([count, violation]))
            return 0
        if count % 50 == 0:
            gc.collect()
    print(json.dumps([schedules, None]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
