"""The parts of docs/commands.md that follow from the commands themselves: what each is for, takes, and needs."""

import inspect
import re
from collections.abc import Iterator

import click

from infra.docs.templates import cell
from producer.cli import cli
from producer.ending import PROGRAM
from producer.reference import EXIT_CODES, REFERENCES

PROGRAMS = (PROGRAM, "python -m infra", "python -m infra.local", "python -m consumer")
OTHERS = {
    0: (
        "done",
        "ended by Ctrl-C; the demo's audit is clean",
        "stopped by SIGTERM or Ctrl-C; with `--check` the settings are fine",
    ),
    1: (
        "AWS failed or rolled back; the same command again continues",
        "a part failed, or the audit has findings",
        "it cannot run, or no longer: AWS, Java, the daemon",
    ),
    2: (
        "wrong input, credentials or permissions: nothing, or nothing more, was changed",
        "wrong input, or no AWS",
        "a setting or an argument is wrong",
    ),
    141: ("as there", "as there", ""),
    130: ("interrupted; what CloudFormation has begun continues", "interrupted before there was a result", ""),
}
"""Exit codes of the programs beside the operator's commands."""


def overview() -> str:
    """Markdown: a line a command, which leads to its section."""
    lines = ["| command | purpose | guide |", "|---|---|---|"]
    for words, command in _commands():
        guide = REFERENCES[words[0]].guide
        page = guide.removeprefix("docs/").partition(".")[0]
        purpose = cell(_help(command).partition("\n\n")[0])
        lines.append(
            f"| [`{' '.join(words)}`](#{'-'.join((PROGRAM, *words))}) | {purpose} | [{page}]({_link(guide)}) |"
        )
    return "\n".join(lines)


def exit_codes() -> str:
    """Markdown: a line a code, a column a program."""
    lines = [f"| exit code | {' | '.join(f'`{name}`' for name in PROGRAMS)} |", "|---|---|---|---|---|"]
    for code, text in EXIT_CODES.items():
        infra, local, consumer = OTHERS.get(code, ("", "", ""))
        lines.append(f"| {code} | {text} | {infra} | {local} | {consumer} |")
    return "\n".join(lines)


def sections() -> str:
    """Markdown: a section a command, with all of its options."""
    return "\n\n".join("\n\n".join(_section(words, command)) for words, command in _commands())


def _commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The words of each command, by the alphabet. What is in a group stands for the group."""
    for name, command in sorted(cli.commands.items()):
        if isinstance(command, click.Group):
            yield from (((name, inner), each) for inner, each in sorted(command.commands.items()))
        else:
            yield (name,), command


def _section(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    for word in words[:-1]:
        context = click.Context(cli.commands[word], context, info_name=word)
    context = click.Context(command, context, info_name=words[-1], terminal_width=1000, max_content_width=1000)
    yield f"### {PROGRAM} {' '.join(words)}"
    yield _help(command)
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    records = filter(None, (option.get_help_record(context) for option in command.params))
    if rows := [f"| `{cell(names)}` | {cell(text)} |" for names, text in records if text]:
        yield "\n".join(["| option | meaning |", "|---|---|", *rows])
    if needs := REFERENCES[words[0]].needs:
        yield "Permissions: " + re.sub(r"[a-z0-9-]+:[A-Z]\w+|--[a-z-]+", r"`\g<0>`", needs) + "."


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("docs/", "")


def _link(guide: str) -> str:
    """As docs/commands.md says it."""
    return guide.removeprefix("docs/").removeprefix("commands.md") or "#commands"
