"""The console beside the running local stack, in the operator's role."""

import os
import re

from infra.local.identity import settings_of
from infra.local.process import LOCAL, ROOT, Child, Running
from infra.local.stack import LocalStack

START_SECONDS, STOP_SECONDS = 60.0, 10.0
_ADDRESS = re.compile(r"http://\S+/\?token=\S+")


class Console(Running):
    """On any free port. `address` is good for one browser; then there is another one."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._child: Child | None = None
        self.log = LOCAL / "log/console.log"

    def start(self) -> None:
        task = settings_of(self._stack.emulator, self._stack.outputs["TaskDefinitionArn"])
        contracts = {name: task[name] for name in ("READING_CONTRACTS", "PAYLOAD_DECODER") if name in task}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [str(ROOT / ".venv/bin/python"), "-u", "-m", "producer", "console", "--no-open", "--port", "0"]
        env = inherited | self._stack.as_role("operator") | contracts
        self._child = Child("the console", command, env, self.log)
        self._child.wait_until(lambda: bool(self.address), START_SECONDS)

    @property
    def address(self) -> str:
        """The one that was printed last; empty before the first."""
        found = _ADDRESS.findall(self.log.read_text())
        return found[-1] if found else ""

    def stop(self) -> None:
        if self._child:
            self._child.stop(STOP_SECONDS)
