"""`python -m consumer [--check]`: settings from the environment, then the service until SIGTERM.

Exit codes: 0 stopped as asked (with --check: every setting is fine), 1 cannot run, 2 a setting or an argument is wrong;
each with lines that name the fix.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from consumer import descriptors
from consumer.aws.clients import Clients, Unreachable
from consumer.aws.errors import explain_if_aws
from consumer.kcl import java
from consumer.service import Service
from consumer.settings import Settings, SettingsError
from consumer.supervisor import FatalError
from consumer.telemetry import log
from consumer.telemetry.metrics import VERSION

DERIVED = ("APPLICATION_NAME", "STREAM_CONSUMER", "WORKER_ID", "RUN_DIR")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        settings = Settings.load(os.environ)
    except SettingsError as error:
        return _fail(2, *error.faults)
    runtime = java.find()
    if runtime is None:
        chosen = os.environ.get("JAVA")
        wrong = f"JAVA={chosen} is not a java >= {java.MINIMUM}" if chosen else f"java >= {java.MINIMUM} not found"
        return _fail(1, f"{wrong}: install one, or set JAVA to its path")
    if arguments.check:
        return _show(_summary(settings, runtime))
    return _serve(settings, runtime)


def _show(lines: Iterable[str]) -> int:
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # nobody reads on; else the interpreter complains at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _summary(settings: Settings, runtime: Path) -> Iterator[str]:
    """The settings from the environment, and those derived from them and from the host."""
    chosen = [name for name in Settings.variables() if os.environ.get(name, "").strip()]
    for name in chosen:
        yield f"{name}={os.environ[name].strip()}"
    for name in DERIVED:
        if name not in chosen:
            yield f"{name}={getattr(settings, name.lower())} (derived)"
    yield f"{len(chosen)} settings are set and fine, the others have their defaults; java: {runtime}; AWS was not asked"


def _serve(settings: Settings, runtime: Path) -> int:
    log.setup(settings.log_level, settings.log_format)
    descriptors.raise_limit()
    gc.set_threshold(
        10_000
    )  # a delivery makes thousands of objects, hardly any in cycles: 700 costs a tenth of the CPU
    try:
        asyncio.run(_run(settings, runtime))
    except asyncio.CancelledError:
        return 0  # stopped before anything had begun
    except (FatalError, Unreachable, descriptors.TooFewDescriptors) as error:
        return _fail(1, str(error))
    except Exception as error:
        if (line := explain_if_aws(error)) is None:
            raise
        return _fail(1, line)
    return 0


async def _run(settings: Settings, runtime: Path) -> None:
    task = asyncio.current_task()
    assert task  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGINT):  # until the service has handlers of its own; PID 1 has no defaults
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with Clients(settings) as clients:
        await clients.check()
        await Service(settings, runtime, clients).run()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as all errors are."""
        sys.exit(_fail(2, f"{message} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="python -m consumer",
        allow_abbrev=False,
        description="Reads a stream's shards into the table and the archive, until SIGTERM.",
        epilog="Settings are environment variables: docs/settings.md. Exit codes: 0 stopped as asked, 1 cannot run, "
        "2 a setting or an argument is wrong.",
    )
    made.add_argument("--check", action="store_true", help="check the settings, print them and exit")
    made.add_argument("--version", action="version", version=VERSION)
    return made


def _fail(code: int, *lines: str) -> int:
    for line in lines:
        print(f"sensorstream: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
