"""What a change set does to each resource: from which value to which, whether it is replaced, and why.

CloudFormation lists every resource that refers to one that changes, since it does not ask itself whether an ARN or a
name changes with it. It does only where that resource is replaced, so the others are told apart: they stay as they are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

LONGEST = 60  # characters of a value that is shown
MOST = 4  # differences within one property
IDENTITY = ("arn", "id", "name", "url", "uri")  # how attributes end that only a replacement changes
RANK = ("no", "perhaps", "yes")

Values = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Detail:
    """One reason for a change. `cause` is the parameter or resource (`Name` or `Name.Attribute`) that it comes from."""

    name: str
    replaces: str
    source: str
    cause: str
    before: str | None = None
    after: str | None = None

    @property
    def follows(self) -> str:
        """The resource whose own change brings this one, "" when it is the template's or a parameter's."""
        return self.cause.partition(".")[0] if self.source.startswith("Resource") else ""

    @property
    def of_identity(self) -> bool:
        attribute = self.cause.partition(".")[2].lower()
        return not attribute or attribute.endswith(IDENTITY)


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to one resource. `replaced` is "no", "yes" or "perhaps" (known only when it happens);
    `reasons` are lines; `idle` when it only refers to something that changes, and stays as it is."""

    action: str
    resource: str
    kind: str
    replaced: str
    reasons: tuple[str, ...] = ()
    idle: bool = False


def changes(found: Iterable[Any], parameters: Values) -> list[Change]:
    """From the ResourceChange documents of DescribeChangeSet; `parameters` are old and new values by name."""
    documents = {each["LogicalResourceId"]: each for each in found}
    details = {name: [_detail(each) for each in document.get("Details", [])] for name, document in documents.items()}
    made = {name: _first(document, details[name]) for name, document in documents.items()}
    while True:
        again = {name: _again(change, details[name], made) for name, change in made.items()}
        if again == made:
            break
        made = again
    return [
        replace(change, reasons=tuple(_reasons(details[name], parameters, made)) if change.action == "Modify" else ())
        for name, change in made.items()
    ]


def _detail(found: Any) -> Detail:
    target = found.get("Target", {})
    recreation = {"Always": "yes", "Conditionally": "perhaps"}.get(target.get("RequiresRecreation", ""), "no")
    return Detail(
        target.get("Name") or target.get("Attribute", ""),
        recreation,
        found.get("ChangeSource", ""),
        found.get("CausingEntity", ""),
        target.get("BeforeValue"),
        target.get("AfterValue"),
    )


def _first(document: Any, details: list[Detail]) -> Change:
    """As if nothing followed from the others."""
    told = {"True": "yes", "Conditional": "perhaps"}.get(document.get("Replacement", ""), "no")
    idle = document["Action"] == "Modify" and bool(details) and all(detail.follows for detail in details)
    if told == "perhaps" and details:
        told = _most(detail.replaces for detail in details if not detail.follows)
    return Change(document["Action"], document["LogicalResourceId"], document["ResourceType"], told, idle=idle)


def _again(change: Change, details: list[Detail], made: Mapping[str, Change]) -> Change:
    """With what follows from the others as they are known by now."""
    active = [(detail, _brought(detail, made)) for detail in details if detail.follows]
    active = [(detail, how) for detail, how in active if how != "no"]
    if not active:
        return change
    brought = _most(RANK[min(RANK.index(detail.replaces), RANK.index(how))] for detail, how in active)
    return replace(change, replaced=_most((change.replaced, brought)), idle=False)


def _brought(detail: Detail, made: Mapping[str, Change]) -> str:
    """Whether what the detail follows changes the value: "no", "perhaps" or "yes"."""
    cause = made.get(detail.follows)
    if cause is None or cause.action != "Modify":
        return "yes"
    if cause.idle:
        return "no"
    if detail.of_identity and not cause.kind.startswith("Custom::"):
        return cause.replaced
    return _most((cause.replaced, "perhaps"))


def _most(words: Iterable[str]) -> str:
    return max(words, key=RANK.index, default="no")


# ---- words ----------------------------------------


def _reasons(details: list[Detail], parameters: Values, made: Mapping[str, Change]) -> Iterator[str]:
    """A line a property, or more where its value is a document."""
    for name in dict.fromkeys(detail.name for detail in details):
        of_name = [each for each in details if each.name == name]
        real = [each for each in of_name if not each.follows or _brought(each, made) != "no"]
        if not real:
            continue
        recreation = _most(detail.replaces for detail in real)
        suffix = {"yes": " (takes a new one)", "perhaps": " (may take a new one)", "no": ""}[recreation]
        for line in _told(real, parameters, made):
            yield f"{name}{line}{suffix}"


def _told(real: list[Detail], parameters: Values, made: Mapping[str, Change]) -> list[str]:
    for detail in real:
        if detail.before is not None or detail.after is not None:
            return list(differences(detail.before or "", detail.after or ""))
    causes = [each.cause for each in real if each.source == "ParameterReference"]
    values = [(name, *map(_short, parameters[name])) for name in causes if name in parameters]
    if values:
        return [f": {', '.join(f'{name} {old} -> {new}' for name, old, new in values)}"]
    followed = dict.fromkeys(each.follows for each in real if each.follows)
    if followed:
        word = "as" if all(made[name].replaced == "yes" for name in followed if name in made) else "only if"
        return [f": {word} {', '.join(followed)} is replaced"]
    return [f": by the parameter {', '.join(causes)}" if causes else ": as the template now says"]


def differences(before: str, after: str) -> Iterator[str]:
    """`: old -> new`, or where both are JSON documents such a line for each place that differs."""
    try:
        places = list(_places(json.loads(before), json.loads(after), ""))
    except ValueError:
        places = [("", before, after)]
    for place, old, new in places[:MOST]:
        yield f"{place}: {_short(old)} -> {_short(new)}"
    if len(places) > MOST:
        yield f": and {len(places) - MOST} more places"


def _places(old: Any, new: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _places(old.get(key), new.get(key), f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _places(one, other, f"{place}/{number}")
    elif old != new:
        yield place, old, new


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)
    text = " ".join(text.split()) or '""'
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
