"""docs/resources.md: everything that a deployment is made of."""

from collections.abc import Iterator

from infra.docs.prices import filled
from infra.docs.templates import TEMPLATES, Document, cell

RESOURCES = (
    "# Resources\n\nEverything that a deployment named STACK is made of. Made by `make docs` from the templates.\n"
)


def resources(found: dict[str, Document]) -> str:
    """The whole of docs/resources.md."""
    return "\n".join([RESOURCES, *("\n".join(_section(name, document)) for name, document in found.items())])


def _section(name: str, document: Document) -> Iterator[str]:
    yield f"## {TEMPLATES[name]}\n\n{cell(document['Description'])} (`infra/{name}`)\n"
    yield "| resource | what it is for | who uses it | cost | deleting the stack |\n|---|---|---|---|---|"
    for logical, resource in document["Resources"].items():
        metadata = resource.get("Metadata", {})
        only = f" (if {resource['Condition']})" if "Condition" in resource else ""
        row = [f"`{logical}`{only}<br>{resource['Type'].removeprefix('AWS::')}"]
        row += [metadata.get(key, "") for key in ("Purpose", "Users")]
        row.append(filled(metadata.get("Cost", "")))
        row.append("keeps it" if resource.get("DeletionPolicy") == "Retain" else "deletes it")
        yield f"| {' | '.join(cell(each) for each in row)} |"
    yield ""
