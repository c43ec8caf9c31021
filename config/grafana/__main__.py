"""`python -m config.grafana [RUNBOOK]`: generates config/grafana/dashboards, and the links of the alert rules.

RUNBOOK is the URL of docs/operations.md. Without one the rules name its path in this repository, and the text of a
panel names its section, since a link would not work.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from config.grafana.cost import cost
from config.grafana.fleet import fleet
from config.grafana.service import service

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "config/grafana/dashboards"
PROMETHEUS = ROOT / "config/prometheus"
RULES = PROMETHEUS / "rules/alerts.yml"
EXPR = '"expr"'
PAGE = "docs/operations.md"
BOARDS = {"fleet.json": fleet, "service.json": service, "cost.json": cost}


def documents(runbook: str = PAGE) -> dict[str, str]:
    """The text of each dashboard by the name of its file."""
    found = {}
    for name, board in BOARDS.items():
        document = json.loads(json.dumps(board().build(), cls=JSONEncoder))
        for panel in document["panels"]:
            _add_runbook(panel, runbook)
        found[name] = json.dumps(document, indent=2, sort_keys=True) + "\n"
    return found


def _add_runbook(panel: dict[str, Any], runbook: str) -> None:
    """Completes the panel's link to the runbook, or names the section in its text."""
    for link in panel.get("links", ()):
        link["url"] = runbook + link["url"]
    if runbook == PAGE and panel.get("links"):
        panel["description"] += f" Runbook: {panel.pop('links')[0]['url']}."


def rules(text: str, runbook: str = PAGE) -> str:
    """Alert rules, or promtool's tests of them, with the links of all alerts leading to the page."""
    return re.sub(r"(?m)^( +runbook_url: )\S+#", lambda found: f"{found[1]}{runbook}#", text)


def main(arguments: list[str]) -> int:
    """Exit code."""
    if len(arguments) > 1 or not all(re.fullmatch(r"https?://[^\s#]+", argument) for argument in arguments):
        print("usage: python -m config.grafana [RUNBOOK], RUNBOOK being a URL", file=sys.stderr)
        return 2
    for name, text in documents(*arguments).items():
        (FOLDER / name).write_text(text)
        print(f"{FOLDER.relative_to(ROOT) / name}: {text.count(EXPR)} queries")
    for path in (RULES, *(PROMETHEUS / "tests").glob("*.yml")):
        path.write_text(rules(path.read_text(), *arguments))
    text = RULES.read_text()
    print(f"{RULES.relative_to(ROOT)}: {text.count('runbook_url: ')} links to {arguments[0] if arguments else PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
