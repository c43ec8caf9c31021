"""`python -m infra.dashboards [RUNBOOK]`: writes config/grafana/dashboards anew.

RUNBOOK is the address of docs/operations.md, for the links of the panels.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from infra.dashboards.cost import cost
from infra.dashboards.fleet import fleet
from infra.dashboards.frame import RUNBOOK
from infra.dashboards.service import service
from infra.local.process import ROOT

FOLDER = ROOT / "config/grafana/dashboards"
EXPR = '"expr"'


def documents(runbook: str = RUNBOOK) -> dict[str, str]:
    """The text of each dashboard by the name of its file."""
    made = {"fleet.json": fleet(runbook), "service.json": service(runbook), "cost.json": cost(runbook)}
    return {
        name: json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, board in made.items()
    }


def main(arguments: list[str]) -> int:
    """Exit code."""
    if len(arguments) > 1 or not all(argument.startswith(("https://", "http://")) for argument in arguments):
        print("usage: python -m infra.dashboards [RUNBOOK], RUNBOOK being a URL", file=sys.stderr)
        return 2
    for name, text in documents(*arguments).items():
        (FOLDER / name).write_text(text)
        print(f"{FOLDER.relative_to(ROOT) / name}: {text.count(EXPR)} queries")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
