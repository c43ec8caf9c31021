"""`python -m infra.documents`: docs/resources.md and the tables of docs/security.md, from the templates."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.deploy.templates import read

INFRA = Path(__file__).resolve().parent
DOCS = INFRA.parent / "docs"
TEMPLATES = {
    "data.yaml": "STACK, the data stack",
    "network.yaml": "STACK-network",
    "service.yaml": "STACK-service",
    "deployer.yaml": "the deployer's rights, made once by an administrator",
}
HEAD = "| action | resource |\n|---|---|"
BEGIN, END = "<!-- made by make docs from the templates -->", "<!-- end of what make docs makes -->"
RESOURCES = (
    "# Resources\n\nEverything that a deployment named STACK is made of. Made by `make docs` from the templates.\n"
)
PLACES = {
    "arn:${AWS::Partition}:": "",
    "${AWS::Region}:${AWS::AccountId}:": "",
    ":${AWS::AccountId}:": ":",
    "${AWS::StackName}": "STACK",
    "${DataStack}": "STACK",
    "${AWS::AccountId}": "this account",
    "AWS::AccountId": "this account",
    ".Arn}": "}",
    "${!": "${",
}

Document = dict[str, Any]


def templates() -> dict[str, Document]:
    """The templates by file name."""
    return {name: read(INFRA / name) for name in TEMPLATES}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def cell(text: Any) -> str:
    """Text as a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def plain(value: Any) -> str:
    """What a template's value names, for people: `AlertTopic` for its ARN, STACK for the deployment's name."""
    if isinstance(value, dict):
        ((function, argument),) = value.items()
        if function == "Fn::If":
            return f"{plain(argument[1])} (if {argument[0]})"
        if function == "Fn::Sub" and isinstance(argument, list):
            return plain(argument[0])
        if function == "Fn::GetAtt":
            return str(argument[0] if isinstance(argument, list) else argument.partition(".")[0])
        return plain(argument)
    text = str(value)
    for found, shown in PLACES.items():
        text = text.replace(found, shown)
    return text


# ---- resources ----------------------------------------


def resources(found: dict[str, Document]) -> str:
    """The whole of docs/resources.md."""
    return "\n".join([RESOURCES, *("\n".join(_section(name, document)) for name, document in found.items())])


def _section(name: str, document: Document) -> Iterator[str]:
    yield f"## {TEMPLATES[name]}\n\n{cell(document['Description'])} (`infra/{name}`)\n"
    yield "| resource | what it is for | who uses it | cost | deleting the stack |\n|---|---|---|---|---|"
    for logical, resource in document["Resources"].items():
        told = resource.get("Metadata", {})
        only = f" (if {resource['Condition']})" if "Condition" in resource else ""
        row = [f"`{logical}`{only}<br>{resource['Type'].removeprefix('AWS::')}"]
        row += [told.get(key, "") for key in ("Purpose", "Users", "Cost")]
        row.append("keeps it" if resource.get("DeletionPolicy") == "Retain" else "deletes it")
        yield f"| {' | '.join(cell(each) for each in row)} |"
    yield ""


# ---- rights ----------------------------------------


class Granted:
    """A statement as it stands, the resource that declares it, and under which condition."""

    def __init__(self, resource: Document, statement: Document) -> None:
        self.resource = resource
        self.statement = statement
        self.only = ""
        if "Fn::If" in statement:
            condition, self.statement, _ = statement["Fn::If"]
            self.only = f" (if {condition})"
        elif "Condition" in resource:
            self.only = f" (if {resource['Condition']})"


def rights(found: dict[str, Document]) -> str:
    """The tables of docs/security.md: a section for each role, device policy and resource with a policy of its own."""
    return "\n".join("\n".join(_rights(document)) for document in found.values()).strip()


def _rights(document: Document) -> Iterator[str]:
    everything = document["Resources"]
    for logical, resource in everything.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        purpose = cell(resource.get("Metadata", {}).get("Purpose", ""))
        if kind == "AWS::IAM::Role":
            trust = _trusted(properties["AssumeRolePolicyDocument"]["Statement"])
            yield f"### {logical}\n\n{purpose} Assumed by {trust}.\n"
            yield from _table(_of_role(logical, everything))
        elif kind == "AWS::Lambda::Permission":
            yield f"### {logical}\n\n{purpose}\n"
            who, source = (f"`{plain(properties[key])}`" for key in ("Principal", "SourceArn"))
            yield f"{HEAD}\n| `{properties['Action']}` | itself; for {who}, for {source} only |"
        elif "PolicyDocument" in properties and not kind.startswith("AWS::IAM::"):
            yield f"### {logical}\n\n{purpose}\n"
            yield from _table([Granted(resource, each) for each in listed(properties["PolicyDocument"]["Statement"])])
        else:
            continue
        yield ""


def _trusted(trust: Any) -> str:
    principals = [plain(p) for each in listed(trust) for p in each["Principal"].values()]
    return ", ".join(
        "principals of this account that IAM allows" if p.endswith(":root") else f"`{p}`" for p in principals
    )


def _of_role(logical: str, everything: Document) -> list[Granted]:
    """The role's own statements, and those of policies that are attached to it."""
    role = everything[logical]
    policies = [(role, policy) for policy in role["Properties"].get("Policies", [])]
    policies += [
        (each, each["Properties"])
        for each in everything.values()
        if each["Type"].startswith("AWS::IAM::") and {"Ref": logical} in each["Properties"].get("Roles", [])
    ]
    return [
        Granted(resource, statement)
        for resource, policy in policies
        for statement in listed(policy["PolicyDocument"]["Statement"])
    ]


def _table(granted: list[Granted]) -> Iterator[str]:
    yield HEAD
    for each in granted:
        statement, only = each.statement, each.only
        actions = ", ".join(f"`{action}`" for action in listed(statement["Action"]))
        if statement["Effect"] == "Deny":
            actions = f"**not** {actions}"
        known = [one for one in listed(statement.get("Resource", "itself")) if one != {"Ref": "AWS::NoValue"}]
        names = [f"`{plain(one)}`" for one in known]
        parts = [", ".join(names) + only, *_conditions(statement), *_who(statement)]
        reason = each.resource.get("Metadata", {}).get("Reasons", {}).get(statement.get("Sid"))
        if reason:
            parts.append(reason)
        yield f"| {cell(actions)} | {cell('; '.join(parts))} |"


def _conditions(statement: Document) -> Iterator[str]:
    for operator, tests in statement.get("Condition", {}).items():
        for key, value in tests.items():
            yield f"where `{key}` {operator} `{', '.join(plain(each) for each in listed(value))}`"


def _who(statement: Document) -> Iterator[str]:
    principal = statement.get("Principal")
    if principal:
        named = principal.values() if isinstance(principal, dict) else [principal]
        who = ", ".join(plain(each) for group in named for each in listed(group))
        yield "for everybody" if who == "*" else f"for `{who}`"


# ---- files ----------------------------------------


def made() -> dict[Path, str]:
    """Every file as it should be."""
    found, security = templates(), DOCS / "security.md"
    before, _, rest = security.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        DOCS / "resources.md": resources(found),
        security: f"{before}{BEGIN}\n\n{rights(found)}\n\n{END}{after}",
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
    sys.exit(0)
