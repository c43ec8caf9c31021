"""The console beside the running local stack."""

import re
from collections.abc import Mapping

from infra.local.process import LOCAL, ROOT, Child

START_SECONDS, STOP_SECONDS = 60.0, 10.0
_ADDRESS = re.compile(r"http://\S+/\?token=\S+")


class Console:
    """Started when it is made, on any free port. `address` is good for one browser; then there is another one."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.log = LOCAL / "log/console.log"
        command = [str(ROOT / ".venv/bin/python"), "-u", "-m", "producer", "console", "--no-open", "--port", "0"]
        self._child = Child("the console", command, env, self.log)

    def wait(self) -> None:
        """Returns when it can be opened; raises LocalError."""
        self._child.wait_until(lambda: bool(self.address), START_SECONDS)

    @property
    def address(self) -> str:
        """The one that was printed last; empty before the first."""
        found = _ADDRESS.findall(self.log.read_text())
        return found[-1] if found else ""

    def stop(self) -> None:
        self._child.stop(STOP_SECONDS)
