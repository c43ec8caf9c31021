"""What commands print, and click's commands with the end of all programs (producer/ending.py)."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import click

from producer.ending import INTERRUPTED, UNHEARD, fail, reported


class Report(Protocol):
    """What a command has found or done."""

    def as_json(self) -> dict[str, Any]: ...
    def as_text(self) -> str: ...


class Commands(click.Group):
    """Commands that return exit codes, with `run` as the program's end. `codes` are as in `reported`."""

    codes: Mapping[type[Exception], int] = {}

    def invoke(self, ctx: click.Context) -> Any:
        return reported(lambda: super(Commands, self).invoke(ctx), self.codes)

    def run(self, argv: list[str] | None, program: str) -> int:
        """The exit code. `program` is what a person types."""
        try:
            return int(self.main(argv, program, standalone_mode=False))
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            shown = context.command_path if context else program
            return fail(f"{error.format_message().rstrip('.')} (see {shown} --help)")
        except click.Abort:
            return INTERRUPTED
        except SystemExit:  # so click ends when nobody reads its help
            return UNHEARD


def printed(report: Report, as_json: bool, ok: bool = True) -> int:
    """Prints it and returns the exit code."""
    return told(report.as_json() if as_json else report.as_text(), ok)


def told(result: Any, ok: bool = True) -> int:
    """Prints text, or anything else as one JSON document, and returns the exit code."""
    click.echo(result if isinstance(result, str) else json.dumps(result))
    return 0 if ok else 1
