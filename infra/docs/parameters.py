"""The tables of docs/deploy.md that follow from the templates: parameters, and how many resources there are."""

from pathlib import Path
from typing import Any

from infra.deploy.templates import DATA, NETWORK, SERVICE, outputs, parameters, read

OWN = {
    "ArtifactBucket",
    "FunctionsKey",
    "ServiceRoleArn",
    "DataStack",
    "Image",
    "SimulatorImage",
    "TopicDeviceLevel",
}  # given by the commands themselves
ORDER: dict[Path, str] = {DATA: "data", NETWORK: "network", SERVICE: "service"}


def parameter_table() -> str:
    """Markdown: a line a parameter that people may give, in the order of the templates."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    made = outputs(DATA) | outputs(NETWORK)
    for path, layer in ORDER.items():
        for name, declared in parameters(path).items():
            chosen = path is DATA or name not in made or name in ("VpcId", "SubnetIds", "PublicSubnetIds")
            if name not in OWN and chosen:
                found.setdefault(name, (declared, []))[1].append(layer)
    lines = ["| parameter | default | stack | what it is for |", "|---|---|---|---|"]
    for name, (declared, layers) in found.items():
        default = str(declared.get("Default", ""))
        text = " ".join(str(declared["Description"]).split()).replace("|", "\\|")
        shown = f"`{default}`" if default not in ("", "none") else ""
        lines.append(f"| `{name}` | {shown} | {', '.join(layers)} | {text}{limits(declared)} |")
    return "\n".join(lines)


def limits(declared: dict[str, Any]) -> str:
    """What values are taken, where the template says so."""
    if "AllowedValues" in declared:
        return f" One of {', '.join(str(value) for value in declared['AllowedValues'])}."
    low, high = declared.get("MinValue"), declared.get("MaxValue")
    if low is not None and high is not None:
        return f" {low:,} to {high:,}."
    return f" At least {low:,}." if low is not None else ""


def resource_counts() -> str:
    """Markdown: how many resources of which types each template declares."""
    lines = ["| stack | template | resources |", "|---|---|---|"]
    for path, suffix in ((DATA, ""), (NETWORK, "-network"), (SERVICE, "-service")):
        kinds = [each["Type"].removeprefix("AWS::") for each in read(path)["Resources"].values()]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        lines.append(f"| `STACK{suffix}` | `infra/{path.name}` | {counted} |")
    return "\n".join(lines)
