"""The table of docs/contracts.md: the fields of a reading contract, by their JSON Schema."""

from typing import Any

from consumer.payload.contract import schema
from infra.docs.templates import cell


def table() -> str:
    """Markdown: a line a field."""
    contract = schema()["$defs"]["Contract"]
    lines = ["| field | default | takes | meaning |", "|---|---|---|---|"]
    for name, field in contract["properties"].items():
        default = f"`{field['default']}`" if field.get("default") else "none"
        shown = "required" if name in contract["required"] else default
        lines.append(f"| `{name}` | {shown} | {_takes(field)} | {cell(_description(field))} |")
    return "\n".join(lines)


def _description(field: dict[str, Any]) -> str:
    """Of a field that may be left out it is the other kind's."""
    return str(field["description"] if "description" in field else field["anyOf"][0]["description"])


def _takes(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_takes(each) for each in field["anyOf"] if each.get("type") != "null")
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    match field["type"]:
        case "object":
            return f"names with a {_takes(field['additionalProperties'])} each"
        case "array":
            return f"a list of {_takes(field['items'])}s"
        case "integer":
            return f"{field['minimum']} to {field['maximum']}"
    return str(field.get("title", "text"))
