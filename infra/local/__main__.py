"""`python -m infra.local up|demo|watch [NAME=value...]`: the local stack in the foreground.

Exit codes: docs/commands.md.
"""

import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType

from infra.deploy import exits
from infra.deploy.cloudformation import InputError
from infra.local.options import Options
from infra.local.process import LOCAL, LocalError
from infra.local.stack import LocalStack, env_file
from infra.local.terminal import foreground
from infra.switches import SwitchError, words
from producer.ending import reported

USAGE = "usage: python -m infra.local up|demo|watch [NAME=value...]; make lists the names"


class Interrupted(KeyboardInterrupt):
    """The first Ctrl-C or SIGTERM; later ones are ignored, since everything is being stopped already."""


def raise_once() -> None:
    """From now on the first SIGINT or SIGTERM raises Interrupted in the main thread and the others do nothing."""

    def handle(signum: int, frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def say(line: str) -> None:
    print(line, flush=True)


def up(given: Mapping[str, str]) -> int:
    """Runs until Ctrl-C (exit code 0), or until a part of the stack ends unexpectedly (1)."""
    try:
        with LocalStack(Options.load(given), say) as stack:
            say(endpoints(stack))
            while (failure := stack.failure()) is None:
                threading.Event().wait(1)
            raise LocalError(failure)
    except Interrupted:
        say("stopped")
        return 0


def endpoints(stack: LocalStack) -> str:
    """What a person needs to use the running stack."""
    console = stack.console
    rows = {"Console": f"{console.address}  (for one browser; then see {console.log})"} if console else {}
    rows |= {
        "AWS endpoint": stack.emulator.endpoint,
        "MQTT (mTLS)": f"{stack.env['IOT_ENDPOINT']}  (CA {stack.env['IOT_CA_FILE']})",
        "Stream": stack.env["STREAM_NAME"],
        "Table": stack.env["SENSOR_TABLE"],
        "Archive": f"s3://{stack.env['ARCHIVE_BUCKET']}/readings/",
        "Alert topic": stack.env["ALERT_TOPIC_ARN"],
    }
    if stack.options.consumer:
        rows["Consumer"] = f"{stack.consumer_url}/metrics  /healthz  /shards"
    else:
        rows["Your consumer"] = f"source {LOCAL / 'consumer/env'}; .venv/bin/python -m consumer"
    rows |= {"Logs": f"{LOCAL / 'log'}/", "In your shell": f"source {env_file()}"}
    width = max(map(len, rows))
    return "\n".join(["", *(f"  {name:<{width}}  {value}" for name, value in rows.items()), "", "Ctrl-C stops it all."])


CODES: Mapping[type[Exception], int] = {InputError: 2, SwitchError: 2, LocalError: 1}


def main(arguments: list[str]) -> int:
    """Exit code; every failure that a person can cure is one line on stderr."""
    raise_once()
    return reported(lambda: _chosen(*arguments), CODES)


def _chosen(command: str = "", *rest: str) -> int:
    if command not in ("up", "demo", "watch"):
        raise SwitchError(USAGE)
    given, others = words(command, rest)
    if others:
        raise SwitchError(f"{others[0]} is not NAME=value; {USAGE}")
    with foreground():
        return _run(command, given)


def _run(command: str, given: Mapping[str, str]) -> int:
    if command == "up":
        return up(given)
    if command == "watch":
        from infra.local import watch

        return watch.main(given)
    from infra.local import demo

    return demo.main(given)


if __name__ == "__main__":
    sys.exit(exits.reported(main(sys.argv[1:]), exits.LOCAL))
