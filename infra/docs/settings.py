"""The tables of docs/settings.md that follow from consumer/settings.py and the service's template."""

import ast
import dataclasses
import inspect
from typing import Any

from consumer.settings import Settings
from infra.deploy.templates import SERVICE, read
from infra.docs.templates import cell

DERIVED = {"initial_position": "`TRIM_HORIZON`", "reading_contracts": "built-in"}
"""What a default is called that is no text of the setting."""


def table() -> str:
    """Markdown: a line a setting."""
    meanings = _meanings()
    lines = ["| Variable | Default | Takes | Meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(Settings):
        takes = str(field.metadata["parse"].__doc__).splitlines()[0]
        lines.append(f"| `{field.name.upper()}` | {_default(field)} | {cell(takes)} | {cell(meanings[field.name])} |")
    return "\n".join(lines)


def parameters() -> dict[str, str]:
    """Variable -> the parameter of the service's template by which a deployment chooses it."""
    template = read(SERVICE)
    [container] = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    chosen = {name for name, each in template["Parameters"].items() if each.get("Default", "none") != "none"}
    given = {each["Name"]: each["Value"] for each in container["Environment"]}
    return {
        name: value["Ref"] for name, value in given.items() if isinstance(value, dict) and value.get("Ref") in chosen
    }


def parameter_table() -> str:
    """Markdown: a line for each of them."""
    lines = [f"| `{variable}` | `{parameter}` |" for variable, parameter in parameters().items()]
    return "\n".join(["| Variable | Parameter |", "|---|---|", *lines])


def _default(field: "dataclasses.Field[Any]") -> str:
    default = field.default
    if default is dataclasses.MISSING:
        return "required"
    if field.name in DERIVED:
        return DERIVED[field.name]
    if default in (None, ""):
        return "none" if default is None else "derived"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meanings() -> dict[str, str]:
    """Setting -> the text below it, with links as docs/ has them. Raises KeyError for a setting without one."""
    [declared] = [each for each in ast.parse(inspect.getsource(Settings)).body if isinstance(each, ast.ClassDef)]
    found = {}
    for line, below in zip(declared.body, declared.body[1:], strict=False):
        match line, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text.replace("](docs/", "](")
    return found
