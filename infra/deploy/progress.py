"""What a person at the terminal sees of a deployment: a line a step, and a sign of life while nothing happens."""

import textwrap
import threading
import time
from types import TracebackType
from typing import Self

from infra.deploy.changes import Change
from infra.deploy.cloudformation import Event

QUIET_SECONDS = 15.0
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
    """Within `with`, says every 15 silent seconds what is being waited for."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._busy: dict[tuple[str, str], None] = {}  # resources that have begun and not ended, in order
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def say(self, line: str) -> None:
        """A line with the seconds since the start before it."""
        with self._lock:
            self._print(line)

    def event(self, event: Event) -> None:
        """Tells what has ended, has failed or turns back; what begins only counts as being waited for."""
        with self._lock:
            of_stack = event.resource == event.stack
            if event.status.endswith("_IN_PROGRESS"):
                if not of_stack:
                    self._busy[event.stack, event.resource] = None
            else:
                self._busy.pop((event.stack, event.resource), None)
            verb = VERBS.get(event.status, "FAILED" if event.status.endswith("_FAILED") else "")
            if not verb and event.reason and of_stack and event.reason != "User Initiated":
                verb = event.status
            if not verb:
                return
            name = f"stack {event.stack}" if of_stack else f"  {event.resource} ({event.kind.removeprefix('AWS::')})"
            told = event.reason if verb not in ("created", "updated", "deleted", "kept") else ""
            self._print(f"{verb:<12}{name}{f': {told}' if told else ''}")

    def plan(self, stack: str, changes: list[Change]) -> None:
        """The changes of an update, what is lost last."""
        with self._lock:
            self._print(f"stack {stack}: {count(changes)}")
            for line in table(changes):
                print(f"         {line}", flush=True)

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        print(f"{self.seconds:5.0f} s  {line}", flush=True)

    def _watch(self) -> None:
        while not self._over.wait(1):
            with self._lock:
                if time.monotonic() - self._last >= QUIET_SECONDS:
                    names = [resource for _, resource in self._busy]
                    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
                    self._print(f"waiting for {', '.join(names[:4])}{more}" if names else "still at it")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def count(changes: list[Change]) -> str:
    """Such as `2 to add, 3 to modify (1 replaced, 1 perhaps), 1 to remove`."""
    changes = [change for change in changes if not change.idle]
    if not changes:
        return "no resource changes"
    of = {action: sum(change.action == action for change in changes) for action in ("Add", "Modify", "Remove")}
    replaced, perhaps = (sum(change.replaced == word for change in changes) for word in ("yes", "perhaps"))
    words = [f"{replaced} replaced"] if replaced else []
    words += [f"{perhaps} perhaps" if replaced else f"{perhaps} perhaps replaced"] if perhaps else []
    parts = [f"{of['Add']} to add"] if of["Add"] else []
    parts += [f"{of['Modify']} to modify" + (f" ({', '.join(words)})" if words else "")] if of["Modify"] else []
    parts += [f"{of['Remove']} to remove"] if of["Remove"] else []
    return ", ".join(parts)


def table(changes: list[Change]) -> list[str]:
    """A line a change (action, resource, type, replacement) and its reasons below; removals last, then what only
    refers to a change."""
    order = {"Add": 0, "Modify": 1, "Import": 1, "Dynamic": 1, "Remove": 2}
    real = [change for change in changes if not change.idle]
    ranked = sorted(real, key=lambda change: (order.get(change.action, 1), change.replaced != "no", change.resource))
    width = max((len(change.resource) for change in ranked), default=0)
    words = {"no": "", "yes": "REPLACED", "perhaps": "perhaps replaced: CloudFormation knows only when it does it"}
    lines = []
    for change in ranked:
        action = change.action.upper() if change.action == "Remove" else change.action.lower()
        line = f"{action:<8}{change.resource:<{width}}  {change.kind.removeprefix('AWS::')}"
        lines.append(f"{line}  {words[change.replaced]}".rstrip())
        lines += [f"          {reason}" for reason in change.reasons]
    if idle := sorted(change.resource for change in changes if change.idle):
        lines += textwrap.wrap(
            f"unchanged, since what they refer to is not replaced: {', '.join(idle)}", 110, subsequent_indent="  "
        )
    return lines
