"""`python -m consumer`: settings from the environment, then the service until SIGTERM.

Exit codes: 0 stopped as asked, 1 cannot run, 2 a setting is wrong; each with one line that names the mend.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

# botocore loads awscrt wherever it is installed (for the simulator's MQTT) and has no use for it here: 6 MB of memory.
sys.modules["awscrt"] = None  # type: ignore[assignment]

from consumer import java, log  # noqa: E402
from consumer.aws_errors import told  # noqa: E402
from consumer.clients import Clients, Unreachable  # noqa: E402
from consumer.service import Service  # noqa: E402
from consumer.settings import Settings, SettingsError  # noqa: E402
from consumer.supervisor import Hopeless  # noqa: E402


def main() -> int:
    try:
        settings = Settings.load(os.environ)
    except SettingsError as error:
        return _fail(str(error), 2)
    log.setup(settings.log_level, settings.log_format)
    runtime = java.find()
    if runtime is None:
        return _fail(f"java >= {java.MINIMUM} not found: install one, or set JAVA to its path", 1)
    try:
        asyncio.run(_run(settings, runtime))
    except asyncio.CancelledError:
        return 0  # asked to stop before anything had begun
    except (Hopeless, Unreachable) as error:
        return _fail(str(error), 1)
    except Exception as error:
        if (line := told(error)) is None:
            raise
        return _fail(line, 1)
    return 0


async def _run(settings: Settings, runtime: Path) -> None:
    task = asyncio.current_task()
    assert task  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGINT):  # until the service has handlers of its own; PID 1 has no defaults
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with Clients(settings) as clients:
        await clients.check()
        await Service(settings, runtime, clients).run()


def _fail(line: str, code: int) -> int:
    print(f"sensorstream: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
