"""The command `plan`."""

from typing import Any

import click
from click import Option, Parameter, UsageError

from producer.options import JSON, Choice, Number, some_seconds
from producer.plan.inputs import CHOICES, RANGES, Inputs
from producer.reporting import printed

DEFAULTS = Inputs()


def _options() -> list[Parameter]:
    made: list[Parameter] = []
    for name, bounds in RANGES.items():
        kind: dict[str, Any] = {"type": Number(bounds.low, bounds.high), "metavar": "N"}
        default = f"{getattr(DEFAULTS, name):g}"
        if name == "interval":
            kind = {"callback": some_seconds, "metavar": "S"}
            default += "s"
        made.append(Option([f"--{name.replace('_', '-')}"], default=default, help=bounds.text, **kind))
    for name, (choices, text) in CHOICES.items():
        made.append(
            Option(
                [f"--{name.replace('_', '-')}"], type=Choice(choices), default=str(getattr(DEFAULTS, name)), help=text
            )
        )
    return made


@click.command(params=[*_options(), JSON])
def plan(as_json: bool, **given: Any) -> int:
    """Say what a fleet needs and costs a month, with alternatives.

    It asks AWS nothing, and needs no deployment. (`make plan` is another thing: what `make deploy` would change.)
    """
    from producer.plan.planner import plan as made

    try:
        inputs = Inputs(**given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return printed(made(inputs), as_json)


COMMANDS = (plan,)
