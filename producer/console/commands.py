"""The command `console`."""

import os
import sys

import click
from click import Option

from producer.aws import session
from producer.options import STACK, Choice, Whole

PORT = Option(["--port"], type=Whole(0, 65535), default=8900, metavar="N", help="on this port; 0 for any free one")
HOST = Option(
    ["--host"],
    type=Choice(["127.0.0.1", "0.0.0.0"]),  # noqa: S104
    default="127.0.0.1",
    help="where it listens; 0.0.0.0 is for a container whose port is published on 127.0.0.1",
)
NO_OPEN = Option(["--no-open"], is_flag=True, help="print the address and open no browser")
PLAN = Option(["--plan", "only_plan"], is_flag=True, help="only the page Plan: no stack, no credentials")


@click.command(params=[PORT, HOST, NO_OPEN, PLAN, STACK])
def console(name: str, port: int, host: str, no_open: bool, only_plan: bool) -> int:
    """Serve a page: the fleet, readings, the pipeline, alerts, dead letters; publish; and plan.

    For this machine only, until Ctrl-C, with the credentials of this environment; none of them reaches the browser. The
    address that it prints is good for one browser.
    """
    import asyncio

    from producer.console.server import serve

    stack, announced = None if only_plan else session.stack(name), False
    whose = f"console of {stack.name}" if stack else "console without a stack"

    def announce(address: str) -> None:
        nonlocal announced
        click.echo(f"{'for another browser' if announced else whose}: {address}")
        if not (announced or no_open):
            _open(address)
        announced = True

    asyncio.run(serve(stack, host, port, announce))
    return 0


def _open(address: str) -> None:
    """In a browser with windows; one in this terminal would take it."""
    import webbrowser

    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


COMMANDS = (console,)
