"""All commands of the programs, by click's own tree, each with words that it takes: a new command is among them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

import infra.__main__
import infra.deploy.cli
import producer.cli

MODULES = {"sensorstream": "producer", "infra": "infra"}
MAINS: dict[str, Callable[[list[str]], int]] = {"sensorstream": producer.cli.main, "infra": infra.__main__.main}
VALUES = {"region": "eu-central-1", "shell": "bash", "name": "s", "stack": "s", "statement": "SELECT 1"}
"""Of parameters; others are 1."""
MORE = {
    "sensorstream replay": ["--to-table"],
    "infra destroy": ["--yes"],
    "infra package": ["--bucket", "bucket"],
    "infra deploy": ["--email", "a@example.org"],
    "infra plan": ["--email", "a@example.org"],
}
"""What a command needs besides what click knows to be required."""


@dataclass(frozen=True)
class Walked:
    """One command: `path` is what a person types before `words`, which are what it cannot do without."""

    program: str
    path: tuple[str, ...]
    command: click.Command

    def __str__(self) -> str:
        return " ".join((self.program, *self.path))

    @property
    def asks_aws(self) -> bool:
        """What has a stack does, and all of infra that has a region; `sensorstream plan` knows prices of regions."""
        known = ("name",) if self.program == "sensorstream" else ("stack", "region")
        return any(each.name in known for each in self.command.params)

    @property
    def options(self) -> list[click.Option]:
        return [each for each in self.command.params if isinstance(each, click.Option)]

    def words(self, folder: Path) -> list[str]:
        """After the path; files are in the folder."""
        values = VALUES | {"out": str(folder / "written")}
        found = [*self.path]
        for each in self.command.params:
            value = values.get(str(each.name), "1")
            if isinstance(each, click.Argument):
                found += [value] if each.required else []
            elif each.required or each.name == "out" or "--stack" in each.opts:
                found += [each.opts[0], value]
        return [*found, *MORE.get(str(self), [])]

    def run(self, words: list[str]) -> int:
        return MAINS[self.program](words)


def walked(program: str, command: click.Command, path: tuple[str, ...] = ()) -> Iterator[Walked]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from walked(program, each, (*path, name))
    else:
        yield Walked(program, path, command)


ALL = [*walked("sensorstream", producer.cli.cli), *walked("infra", infra.deploy.cli.commands)]
