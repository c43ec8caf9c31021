"""`make docs`: everything in docs/ that follows from the templates, the prices and the code, between its comments;
and what the console takes from docs/."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from consumer.payload.contract import schema
from infra.docs import commands, contracts, cost, metrics, settings
from infra.docs.catalogue import catalogue
from infra.docs.parameters import parameter_table, resource_counts
from infra.docs.permissions import permissions
from infra.docs.resources import resources
from infra.docs.templates import INFRA, templates
from producer.console.catalogue import FILE as CATALOGUE

DOCS = INFRA.parent / "docs"


def made() -> dict[Path, str]:
    """Every file as it should be. Raises ValueError for a file without a place for its tables."""
    found = templates()
    deploy = {
        "parameters": parameter_table(),
        "resources": resource_counts(),
        "cost": "\n".join(cost.table()),
        "fleet": cost.fleet(),
        "notes": cost.notes(),
    }
    return {
        DOCS / "commands.md": filled(
            DOCS / "commands.md",
            {"commands": commands.overview(), "exits": commands.exit_codes(), "options": commands.sections()},
        ),
        DOCS / "metrics.md": filled(DOCS / "metrics.md", metrics.tables()),
        DOCS / "resources.md": resources(found),
        DOCS / "settings.md": filled(
            DOCS / "settings.md", {"settings": settings.table(), "parameters": settings.parameter_table()}
        ),
        DOCS / "security.md": filled(DOCS / "security.md", {"permissions": f"\n{permissions(found)}\n"}),
        DOCS / "deploy.md": filled(DOCS / "deploy.md", deploy),
        DOCS / "contracts.md": filled(DOCS / "contracts.md", {"fields": contracts.table()}),
        DOCS / "aggregation.md": filled(DOCS / "aggregation.md", {"saved": cost.saved()}),
        DOCS / "iot-rules.md": filled(DOCS / "iot-rules.md", {"ingest": cost.ingest()}),
        DOCS / "query.md": filled(DOCS / "query.md", {"queries": cost.queries()}),
        DOCS / "planner.md": filled(DOCS / "planner.md", {"example": cost.example(), "sources": cost.sources()}),
        DOCS / "contracts.schema.json": json.dumps(schema(), indent=2) + "\n",
        CATALOGUE: catalogue(),
    }


def filled(path: Path, tables: Mapping[str, str]) -> str:
    """The file's text with the lines between `<!-- NAME -->` and `<!-- /NAME -->` as they are to be."""
    text = path.read_text()
    for name, table in tables.items():
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        text, count = re.subn(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{path.name}: no place for the table {name}")
    return text


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
