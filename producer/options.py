"""Values that options take, and the options that several commands have."""

import math
import re
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click import BadParameter, Context, FloatRange, IntRange, Option, Parameter
from click.core import ParameterSource

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Whole(IntRange):
    """A whole number within bounds."""

    name = "whole number"


class Number(FloatRange):
    """A finite number within bounds."""

    name = "number"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class Choice(click.Choice[str]):
    """Also suggests the nearest choice."""

    def get_invalid_choice_message(self, value: Any, ctx: Context | None) -> str:
        near = get_close_matches(str(value), self.choices, 1)
        return super().get_invalid_choice_message(value, ctx) + (f" Did you mean {near[0]}?" if near else "")


def sequence(_: Context, __: Parameter, text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9]{1,200}(\.[0-9]{1,20})?", text):
        raise BadParameter(f"{text} is not a sequence number such as 4961...02, or 4961...02.7 for its part 7")
    return text


def moment(_: Context, __: Parameter, text: str | None) -> int | None:
    """A time as ms since the epoch."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"{text} is not a time such as 2026-11-22T10:48:16Z or 2026-11-22") from None
    if len(text) == len("2026-11-22"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise BadParameter(f"{text} has no zone; write {text}Z for UTC")
    return int(moment.timestamp() * 1000)


def seconds(_: Context, __: Parameter, text: str | None) -> float | None:
    """A duration: `90`, `90s`, `1.5m`, `2h` or `1d`."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)([smhd]?)", text.strip())
    if not found:
        raise BadParameter(f"{text} is not a duration such as 90, 90s, 1.5m or 2h")
    return float(found[1]) * UNITS[found[2]]


def some_seconds(ctx: Context, param: Parameter, text: str | None) -> float | None:
    """A duration that is not 0."""
    found = seconds(ctx, param, text)
    if found == 0:
        raise BadParameter(f"{text} is not a duration; give a duration above 0, such as 90, 90s or 1.5m")
    return found


def no_option(ctx: Context, _: Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments that may begin with a dash, as negative numbers do, and so may hold a misspelt option."""
    for value in values:
        if value.startswith("--"):
            known = [name for option in ctx.command.params if isinstance(option, Option) for name in option.opts]
            raise click.NoSuchOption(value, possibilities=get_close_matches(value, known), ctx=ctx)
    return values


def setting(names: list[str], variable: str, metavar: str, text: str, **more: Any) -> Option:
    """An option that the environment may set, too."""
    return Option(names, envvar=variable, show_envvar=True, metavar=metavar, help=text, **more)


STACK = setting(["--stack", "name"], "STACK_NAME", "NAME", "stack to work with", default="sensorstream")
JSON = Option(["--json", "as_json"], is_flag=True, help="print JSON")
LEDGER = Option(
    ["--ledger"], type=click.Path(path_type=Path), metavar="FILE", help="where each message is written down"
)


def refuse(why: str, *names: str | None) -> None:
    """Raises UsageError when one of the options is given."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: {why}", context)
