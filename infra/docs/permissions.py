"""The tables of docs/security.md: what each role may do, to what, under which conditions and why."""

from collections.abc import Iterator
from typing import Any

from infra.docs.templates import Document, cell, listed, plain

HEAD = "| action | resource |\n|---|---|"


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


def permissions(found: dict[str, Document]) -> str:
    """The tables of docs/security.md: a section for each role, device policy and resource with a policy of its own."""
    return "\n".join("\n".join(_permissions(document)) for document in found.values()).strip()


def _permissions(document: Document) -> Iterator[str]:
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
        yield "for all principals" if who == "*" else f"for `{who}`"
