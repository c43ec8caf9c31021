"""docs/tutorial.md as somebody follows it: each block of commands in its terminal, until it shows what the page says.

The page says in the paragraph above a block which terminal it is for (else the one before), `leave it running` of what
does not end, that `Ctrl-C` ends it, and `ask again` of what takes a moment to show. In a block of output `...` is
anything.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infra.local.emulator import free_port
from infra.local.process import ROOT
from infra.switches import PORTS, TARGETS
from tests.system.conftest import nothing_is_left, wait_for
from tests.system.console import asked
from tests.system.terminal import Terminal

PAGE = (ROOT / "docs/tutorial.md").read_text()
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN = {".git", ".local", "build", "garden"}
"""What a fresh checkout has not, or each for itself."""


@dataclass(frozen=True)
class Step:
    """A block of commands, the paragraph above it, and what it shows."""

    words: str
    commands: str
    output: str = ""

    def is_shown_in(self, text: str) -> bool:
        pattern = re.escape(self.output.rstrip()).replace(re.escape("..."), ".*?")
        return re.search(f"^{pattern} *$", text, re.MULTILINE | re.DOTALL) is not None


def steps() -> list[Step]:
    """Those of the page, which has no other blocks than commands and output."""
    made: list[Step] = []
    parts = FENCE.split(PAGE)
    for before, kind, body in zip(parts[:-1:3], parts[1::3], parts[2::3], strict=True):
        if kind == "sh":
            made.append(Step(before.strip().rpartition("\n\n")[2].replace("\n", " "), body))
        else:
            assert (kind, made[-1].output) == ("text", ""), body
            made[-1] = replace(made[-1], output=body)
    return made


class Desk:
    """The terminals of somebody who follows the page in `folder`."""

    def __init__(self, folder: Path, resources: ExitStack) -> None:
        self._folder = folder
        self._resources = resources
        self._terminals: dict[str, Terminal] = {}
        self._at = "first"
        self._running: set[str] = set()
        self._ports = {name: free_port() for name in (*PORTS, "PROMETHEUS_PORT")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._env = kept | {"LOCAL_DIR": str(folder / ".local"), "HOME": str(folder), "TERM": "xterm"}

    @property
    def shown(self) -> str:
        """What the last step has shown."""
        return self._terminals[self._at].shown

    def follow(self, step: Step) -> None:
        if named := re.search(r"\b(first|second|third|fourth) terminal\b", step.words):
            self._at = named[1]
        if self._at not in self._terminals:
            self._terminals[self._at] = self._resources.enter_context(Terminal(self._folder, self._env))
        terminal = self._terminals[self._at]
        if self._at in self._running:
            assert "`Ctrl-C`" in step.words, f"the terminal is busy: {step.commands}"
            self._interrupt(self._at)
        script = self._folder / ".local/script"
        script.write_text(f"{self._ports_of(step.commands)}\n{step.commands}")
        if "ask again" in step.words:
            wait_for(lambda: self._ended(terminal, script, step), f"what the page shows:\n{step.output}")
        elif "leave it running" in step.words.lower():
            terminal.begin(script)
            wait_for(lambda: step.is_shown_in(terminal.shown), f"what the page shows:\n{step.output}")
            assert not terminal.ready, terminal.shown
            self._running.add(self._at)
        else:
            assert self._ended(terminal, script, step), f"{step}\n{terminal.shown}"

    def leave(self) -> None:
        """Ends what was left running."""
        for name in sorted(self._running):
            self._interrupt(name)

    def _ended(self, terminal: Terminal, script: Path, step: Step) -> bool:
        """Whether the commands have ended well and have shown what they should."""
        terminal.begin(script)
        terminal.wait()
        return not terminal.failed and step.is_shown_in(terminal.shown)

    def _interrupt(self, name: str) -> None:
        self._terminals[name].interrupt()
        self._running.remove(name)
        assert "Traceback" not in self._terminals[name].shown

    def _ports_of(self, commands: str) -> str:
        """Other ports than the usual ones, which may be in use, as make's own variable of further arguments."""
        named = re.search(r"^make (\w+)", commands, re.MULTILINE)
        taken = TARGETS[named[1]] if named else ()
        return f"export MAKEFLAGS='{' '.join(f'{name}={port}' for name, port in self._ports.items() if name in taken)}'"


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """In a folder that looks like a checkout in which nothing was done but the set-up."""
    for path in ROOT.iterdir():
        if path.name not in OWN:
            (folder / path.name).symlink_to(path)
    (folder / ".local").mkdir()
    with ExitStack() as resources:
        yield Desk(folder, resources)


def test_every_step_shows_what_the_page_says(tmp_path: Path) -> None:
    [alert] = re.findall(r"`(.* under threshold .*)`", PAGE)
    with desk(tmp_path) as person:
        for step in steps():
            person.follow(step)
            if "Console" in step.output:
                alerts = asked(person.shown, "/api/alerts")
        with alerts:
            wait_for(lambda: alert in alerts.readline().decode(), alert)
        person.leave()
    nothing_is_left(tmp_path / ".local")
