"""The tables of docs/deploy.md that follow from the templates: `python -m infra.guide` writes them anew."""

import re
import sys
from pathlib import Path
from typing import Any

from infra import cost
from infra.deploy.artifacts import INFRA
from infra.deploy.deployment import DATA, NETWORK, SERVICE
from infra.deploy.templates import outputs, parameters, read

GUIDE = INFRA.parent / "docs/deploy.md"
OWN = {"ArtifactBucket", "FunctionsKey", "ServiceRoleArn", "DataStack", "Image"}  # given by the commands themselves
ORDER = {DATA: "data", NETWORK: "network", SERVICE: "service"}


def parameter_table() -> list[str]:
    """Markdown: a line a parameter that people may give, in the order of the templates."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    made = outputs(DATA) | outputs(NETWORK)
    for path, layer in ORDER.items():
        for name, declared in parameters(path).items():
            if name not in OWN and (name not in made or name in ("VpcId", "SubnetIds", "PublicSubnetIds")):
                found.setdefault(name, (declared, []))[1].append(layer)
    lines = ["| parameter | default | stack | what it is for |", "|---|---|---|---|"]
    for name, (declared, layers) in found.items():
        default = str(declared.get("Default", ""))
        text = " ".join(str(declared["Description"]).split()).replace("|", "\\|")
        shown = f"`{default}`" if default not in ("", "none") else ""
        lines.append(f"| `{name}` | {shown} | {', '.join(layers)} | {text}{limits(declared)} |")
    return lines


def limits(declared: dict[str, Any]) -> str:
    """What values are taken, where the template says so."""
    if "AllowedValues" in declared:
        return f" One of {', '.join(str(value) for value in declared['AllowedValues'])}."
    least, most = declared.get("MinValue"), declared.get("MaxValue")
    if least is not None and most is not None:
        return f" {least:,} to {most:,}."
    return f" At least {least:,}." if least is not None else ""


def resource_counts() -> list[str]:
    """Markdown: how many resources of which types each template declares."""
    lines = ["| stack | template | resources |", "|---|---|---|"]
    for path, suffix in ((DATA, ""), (NETWORK, "-network"), (SERVICE, "-service")):
        kinds = [each["Type"].removeprefix("AWS::") for each in read(path)["Resources"].values()]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        lines.append(f"| `STACK{suffix}` | `infra/{path.name}` | {counted} |")
    return lines


TABLES = {"parameters": parameter_table, "resources": resource_counts, "cost": cost.table}


def filled(text: str) -> str:
    """The text with the lines between `<!-- NAME -->` and `<!-- /NAME -->` as they are to be."""
    for name, lines in TABLES.items():
        block = "\n".join([f"<!-- {name} -->", *lines(), f"<!-- /{name} -->"])
        text, count = re.subn(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"no place for the table {name}")
    return text


def main(guide: Path = GUIDE) -> int:
    guide.write_text(filled(guide.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
