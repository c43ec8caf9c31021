"""The command line: `sensorstream COMMAND`, also `python -m producer COMMAND`.

Each command imports what it needs when it runs, so that --help and completion answer at once.
"""

from collections.abc import Sequence

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from producer.compact import commands as compacting
from producer.console import commands as console
from producer.ending import PROGRAM
from producer.fleet import commands as fleet
from producer.ops import commands as ops
from producer.ops import contract_commands as contracts
from producer.ops import query_command as queries
from producer.ops import redrive_command as redrives
from producer.ops import sql_command as sql
from producer.options import Choice
from producer.plan import commands as plan
from producer.reference import EXIT_CODES, REFERENCES
from producer.reporting import Commands

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.group(
    cls=Commands,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120},
    epilog=f"Exit codes: {'; '.join(f'{code} {text}' for code, text in EXIT_CODES.items())}. Where AWS is comes from "
    "the SDK's environment variables; for the local stack: source .local/env",
)
@click.version_option(package_name=PROGRAM, message="%(package)s %(version)s")
def cli() -> None:
    """Devices, readings and the audit of a Sensorstream stack."""


@cli.command()
@click.argument("shell", type=Choice(SHELLS))
def completion(shell: str) -> int:
    """Print what makes a shell complete commands and options.

    For bash: eval "$(sensorstream completion bash)"
    """
    click.echo(SHELLS[shell](cli, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
    return 0


for part in (fleet, ops, redrives, queries, sql, compacting, contracts, plan, console):
    for command in part.COMMANDS:
        cli.add_command(command)
for name, each in cli.commands.items():
    each.epilog = str(REFERENCES[name])


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code; every error that a person can fix is one line on stderr."""
    return cli.run(None if argv is None else list(argv), PROGRAM)
