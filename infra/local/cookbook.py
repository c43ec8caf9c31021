"""The pages of docs/devices as data: what the page says is what its tests try and what the demo runs.

A page holds blocks `json payload <partition key>`, or `json record` for what no topic has; where something else names
the device in the message, it stands behind the key. After each comes its block `json rows`, somewhere on the page one
`json contract` and one `make deploy`.
"""

import json
import re
import shlex
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from infra.deploy.cloudformation import InputError
from infra.deploy.parameters import assignments
from infra.local.process import ROOT
from producer.fleet.examples import Example, Family

FOLDER = ROOT / "docs/devices"
ARRIVAL = 1_777_888_802
"""When the messages of all pages arrive, in s: 2026-05-04T10:00:02Z."""
FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One page; `name` is its file's."""

    name: str
    text: str

    def blocks(self, *kinds: str) -> list[tuple[str, str]]:
        """What stands behind the kind of each such block, and its content."""
        found = [(words.partition(" "), body) for _, words, body in FENCE.findall(self.text)]
        return [(rest, body) for (kind, _, rest), body in found if kind in kinds]

    @property
    def contract(self) -> str:
        """The contracts, as JSON."""
        [(_, body)] = self.blocks("contract")
        return body

    @property
    def params(self) -> str:
        """The PARAMS of its deployment, as a shell gives them."""
        [given] = re.findall(r'^\$ make deploy STACK=\w+ PARAMS="([^"]+)"$', self.text, re.MULTILINE | re.DOTALL)
        return str(given).replace("\\\n", "")

    @property
    def parameters(self) -> dict[str, str]:
        """The same with the contract itself instead of its file."""
        contract = json.dumps(json.loads(self.contract), separators=(",", ":"), ensure_ascii=False)
        return assignments(re.sub(r"(?<=ReadingContracts=)\S+", lambda _: shlex.quote(contract), self.params))

    @property
    def examples(self) -> tuple[Example, ...]:
        """Its messages with their rows; the second one belongs to the second topic, if there is one."""
        pairs = zip(self.blocks("payload", "record"), self.blocks("rows"), strict=True)
        return tuple(
            Example(tuple(names.split()), payload, rows, pattern)
            for pattern, ((names, payload), (_, rows)) in enumerate(pairs)
        )

    @property
    def into_stream(self) -> bool:
        """Whether its producers put records straight into the stream."""
        return bool(self.blocks("record"))

    @property
    def family(self) -> Family:
        """What the simulator needs."""
        contracts = self._contracts
        zone = next((each["time_zone"] for each in contracts if "time_zone" in each), "UTC")
        value = next((each["value"] for each in contracts if "value" in each), "")
        return Family(self.examples, ARRIVAL, ZoneInfo(zone), value)

    @property
    def names(self) -> list[str]:
        """What it may be called: by its file, or by a contract of its own."""
        return list(dict.fromkeys([self.name, *(each["name"] for each in self._contracts)]))

    @property
    def title(self) -> str:
        """Its name, with another one if there is: `the-things-network (ttn)`."""
        others = [name for name in self.names if not name.startswith(self.name)]
        return f"{self.name} ({others[0]})" if others else self.name

    @property
    def _contracts(self) -> list[dict[str, Any]]:
        """Without those that are only named."""
        return [each for each in json.loads(self.contract) if isinstance(each, dict)]


@cache
def pages() -> dict[str, Page]:
    """All pages by their files' names."""
    paths = sorted(path for path in FOLDER.glob("*.md") if path.stem != "README")
    return {path.stem: Page(path.stem, path.read_text()) for path in paths}


def page(name: str) -> Page:
    """The page of that name; InputError naming the choices."""
    for each in pages().values():
        if name.lower().replace("_", "-") in each.names:
            return each
    choices = ", ".join(each.title for each in pages().values())
    raise InputError(f"CONTRACT={name} is no page of docs/devices; choose one of {choices}")
