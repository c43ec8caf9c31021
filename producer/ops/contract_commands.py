"""The commands around reading contracts. They ask nobody: no stack, no AWS."""

import sys
import time
from pathlib import Path

import click
from click import Argument, Option

from producer.options import JSON, moment, setting
from producer.reporting import told

FILE = click.Path(path_type=Path, dir_okay=False)
PAYLOADS = Argument(["payloads"], nargs=-1, required=True, metavar="PAYLOAD...")


@click.group()
def contract() -> None:
    """Try and check reading contracts (docs/contracts.md)."""


@contract.command(
    "try",
    params=[
        PAYLOADS,
        Option(["--contract", "file"], type=FILE, metavar="FILE", help="file of contracts, else the built-in ones"),
        setting(["--payload-decoder", "decoder"], "PAYLOAD_DECODER", "D", "package.module:function of your own"),
        Option(["--key"], default="device-1", metavar="K", help="partition key of the records"),
        Option(["--arrival"], callback=moment, metavar="T", help="when they arrive, else now; ISO-8601 with zone"),
        JSON,
    ],
)
def try_(
    payloads: tuple[str, ...], file: Path | None, decoder: str | None, key: str, arrival: int | None, as_json: bool
) -> int:
    """Show the rows that payloads would give, or why they give none.

    A PAYLOAD is a file, - for standard input, or JSON itself.
    """
    from producer.ops import contracts

    chosen = contracts.chosen(file, decoder)
    ok = True
    for name in payloads:
        if name == "-":
            data = sys.stdin.buffer.read()
        else:
            data = name.encode() if name.lstrip()[:1] in ("{", "[") else contracts.content(Path(name))
        told = name if len(name) <= 40 else name[:37] + "..."
        found = contracts.tried(told, data, chosen, key, int(time.time() * 1000) if arrival is None else arrival)
        click.echo(found.as_json() if as_json else found.as_text())
        ok = ok and found.ok
    return 0 if ok else 1


@contract.command(params=[Argument(["file"], type=FILE), JSON])
def check(file: Path, as_json: bool) -> int:
    """Check a file of contracts: each fault with its line."""
    from producer.ops import contracts

    names = [usage.name for usage in contracts.load(file).usages()]
    return told({"file": str(file), "contracts": names} if as_json else f"{file}: {', '.join(names)}")


COMMANDS = (contract,)
