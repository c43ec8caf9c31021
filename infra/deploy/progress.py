"""What a person at the terminal sees of a deployment: one line per step, and below them what is being waited for."""

import time

from rich.console import Console
from rich.text import Text

from infra.deploy.changes import Change, count, table
from infra.deploy.cloudformation import Event

VERBS = {
    "CREATE_COMPLETE": "created",
    "UPDATE_COMPLETE": "updated",
    "DELETE_COMPLETE": "deleted",
    "DELETE_SKIPPED": "kept",
    "ROLLBACK_COMPLETE": "rolled back",
    "UPDATE_ROLLBACK_COMPLETE": "rolled back",
    "ROLLBACK_IN_PROGRESS": "turns back",
    "UPDATE_ROLLBACK_IN_PROGRESS": "turns back",
}


class Progress:
    """On a terminal the last line says what is being waited for, until `close`."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._start = time.monotonic()
        self._busy: dict[tuple[str, str], None] = {}  # resources that have begun and not ended, in order
        self._console = Console(soft_wrap=True, stderr=stderr)
        self._status = self._console.status("waiting")

    def say(self, line: str) -> None:
        """A line with the seconds since the start before it."""
        self._console.print(Text(f"{time.monotonic() - self._start:5.0f} s  {line}"))

    def event(self, event: Event) -> None:
        """Shows what has ended, has failed or turns back; what begins only counts as being waited for."""
        of_stack = event.resource == event.stack
        if not event.status.endswith("_IN_PROGRESS"):
            self._busy.pop((event.stack, event.resource), None)
        elif not of_stack:
            self._busy[event.stack, event.resource] = None
        names = [resource for _, resource in self._busy]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        self._status.update(Text(f"waiting for {', '.join(names[:4])}{more}"))
        (self._status.start if names else self._status.stop)()
        verb = VERBS.get(event.status, "FAILED" if event.status.endswith("_FAILED") else "")
        if not verb and event.reason and of_stack and event.reason != "User Initiated":
            verb = event.status
        if verb:
            name = f"stack {event.stack}" if of_stack else f"  {event.resource} ({event.kind.removeprefix('AWS::')})"
            reason = event.reason if verb not in ("created", "updated", "deleted", "kept") else ""
            self.say(f"{verb:<12}{name}{f': {reason}' if reason else ''}")

    def plan(self, stack: str, changes: list[Change]) -> None:
        """The changes of an update, what is lost last."""
        self.say("\n         ".join([f"stack {stack}: {count(changes)}", *table(changes)]))

    def close(self) -> None:
        """Leaves the terminal as it was."""
        self._status.stop()
