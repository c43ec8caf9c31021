"""The end of a program, in all of them alike: an exit code, and one line on stderr where it is no good one."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

PROGRAM = "sensorstream"
REFUSED, INTERRUPTED = 2, 130
UNHEARD = 141
"""Nobody reads the output any more; as a shell says it of programs that SIGPIPE ends."""


def reported(command: Callable[[], Any], codes: Mapping[type[Exception], int] = {}) -> int:
    """The exit code: the command's own, or that of what ended it, which a line on stderr explains.

    Besides the failures that a person can mend (exit code 2), `codes` names exceptions whose text is such a line.
    """
    try:
        code = int(command() or 0)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Else the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNHEARD
    except Exception as error:
        line, code = _explained(error, codes)
        if line is None:
            raise
        return fail(line, code)


def _explained(error: Exception, codes: Mapping[type[Exception], int]) -> tuple[str | None, int]:
    """A line for a person and the exit code; None for a defect of the program."""
    from producer.aws.errors import UserError, explain_if_aws

    for kind in type(error).__mro__:
        if kind in codes:
            return str(error), codes[kind]
    if isinstance(error, UserError):
        return str(error), REFUSED
    line = explain_if_aws(error)
    if line is None and isinstance(error, OSError):
        line = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return line, REFUSED


def fail(line: str, code: int = REFUSED) -> int:
    """Says why on stderr; returns the exit code."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
    return code
