"""The example of a decoder in docs/contracts.md, as files."""

import re
from pathlib import Path

from infra.local.process import ROOT


def write(folder: Path) -> str:
    """Writes lorawan.py, fleet.json, uplink.json and Dockerfile; returns what `contract try` prints by the page."""
    section = (ROOT / "docs/contracts.md").read_text().split("\n## A decoder of your own\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "json", "json", "console", "dockerfile", "console"]
    names = ("lorawan.py", "fleet.json", "uplink.json", None, "Dockerfile", None)
    for name, (_, text) in zip(names, blocks, strict=True):
        if name:
            (folder / name).write_text(text)
    return str(blocks[3][1]).partition("\n")[2]
