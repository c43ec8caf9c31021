"""What a change set does to each resource: from which value to which, whether it is replaced, and why.

CloudFormation lists every resource that refers to one that changes, since it does not ask itself whether an ARN or a
name changes with it. It does only where that resource is replaced, so the other resources are listed as unchanged.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

MAX_VALUE = 60  # characters of a value that is shown
MAX_PLACES = 4  # differences within one property that are shown
IDENTITY = ("arn", "id", "name", "url", "uri")  # how attributes end that only a replacement changes


class Fate(IntEnum):
    """What becomes of a resource, or of a value; the worse, the higher."""

    UNCHANGED = 0
    KEPT = 1
    PERHAPS_REPLACED = 2
    REPLACED = 3


Values = Mapping[str, tuple[str, str]]
Documents = Mapping[str, Any]
Fates = Mapping[str, Fate]
RECREATION = {"Always": Fate.REPLACED, "Conditionally": Fate.PERHAPS_REPLACED}
NOTES = {
    Fate.REPLACED: "  REPLACED",
    Fate.PERHAPS_REPLACED: "  perhaps replaced: CloudFormation knows only when it does it",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to one resource; `reasons` are lines. UNCHANGED only refers to something that changes."""

    action: str
    resource: str
    kind: str
    fate: Fate = Fate.KEPT
    reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"fate": self.fate.name.lower()}


def changes(found: Iterable[Any], parameters: Values) -> list[Change]:
    """From the ResourceChange documents of DescribeChangeSet; `parameters` are old and new values by name."""
    documents = {each["LogicalResourceId"]: each for each in found}
    fates = {name: _alone(document) for name, document in documents.items()}
    for _ in documents:  # as many steps as the longest chain of references can have
        fates = {name: max([fates[name], *_brought(documents[name], documents, fates)]) for name in documents}
    return [
        Change(
            each["Action"], name, each["ResourceType"], fates[name], tuple(_reasons(each, parameters, documents, fates))
        )
        for name, each in documents.items()
    ]


def _alone(document: Any) -> Fate:
    """As if nothing followed from the others."""
    if document["Action"] != "Modify":
        return Fate.KEPT
    own = [detail for detail in _details(document) if not _follows(detail)]
    if document.get("Replacement") == "True":
        return Fate.REPLACED
    if not own and _details(document):
        return Fate.UNCHANGED
    if document.get("Replacement") == "Conditional":
        return max(map(_recreation, own), default=Fate.PERHAPS_REPLACED)
    return Fate.KEPT


def _brought(document: Any, documents: Documents, fates: Fates) -> Iterator[Fate]:
    """What the changes of the others make of it."""
    for detail in _details(document):
        if _follows(detail) and (value := _value(detail, documents, fates)):
            yield min(_recreation(detail), value)


def _value(detail: Any, documents: Documents, fates: Fates) -> Fate:
    """Whether the value that the detail refers to is another one: UNCHANGED, PERHAPS_REPLACED or REPLACED."""
    cause = documents.get(_follows(detail))
    if cause is None or cause["Action"] != "Modify":
        return Fate.REPLACED
    fate, attribute = fates[_follows(detail)], detail["CausingEntity"].partition(".")[2].lower()
    if fate is not Fate.UNCHANGED and (
        cause["ResourceType"].startswith("Custom::") or (attribute and not attribute.endswith(IDENTITY))
    ):
        return max(fate, Fate.PERHAPS_REPLACED)
    return Fate.UNCHANGED if fate is Fate.KEPT else fate


def _details(document: Any) -> list[Any]:
    return list(document.get("Details", []))


def _recreation(detail: Any) -> Fate:
    return RECREATION.get(detail.get("Target", {}).get("RequiresRecreation", ""), Fate.KEPT)


def _follows(detail: Any) -> str:
    """The resource whose own change brings this one, "" when it is the template's or a parameter's."""
    of_resource = detail.get("ChangeSource", "").startswith("Resource")
    return str(detail.get("CausingEntity", "")).partition(".")[0] if of_resource else ""


# ---- words ----------------------------------------


def _reasons(document: Any, parameters: Values, documents: Documents, fates: Fates) -> Iterator[str]:
    """A line a property, or more where its value is a document."""
    properties: dict[str, list[Any]] = {}
    for each in _details(document) if document["Action"] == "Modify" else ():
        if not _follows(each) or _value(each, documents, fates):
            target = each.get("Target", {})
            properties.setdefault(target.get("Name") or target.get("Attribute", ""), []).append(each)
    suffixes = {Fate.REPLACED: " (takes a new one)", Fate.PERHAPS_REPLACED: " (may take a new one)"}
    for name, details in properties.items():
        suffix = suffixes.get(max(map(_recreation, details)), "")
        yield from (f"{name}{line}{suffix}" for line in _told(details, parameters, fates))


def _told(details: list[Any], parameters: Values, fates: Fates) -> Iterable[str]:
    targets = [each.get("Target", {}) for each in details]
    if known := next((each for each in targets if {"BeforeValue", "AfterValue"} & each.keys()), None):
        return differences(known.get("BeforeValue") or "", known.get("AfterValue") or "")
    causes = [each.get("CausingEntity", "") for each in details if each.get("ChangeSource") == "ParameterReference"]
    if values := [(name, *map(_short, parameters[name])) for name in causes if name in parameters]:
        return [f": {', '.join(f'{name} {old} -> {new}' for name, old, new in values)}"]
    if followed := list(dict.fromkeys(_follows(each) for each in details if _follows(each))):
        sure = all(fates.get(name, Fate.REPLACED) is Fate.REPLACED for name in followed)
        return [f": {'as' if sure else 'only if'} {', '.join(followed)} is replaced"]
    return [f": by the parameter {', '.join(causes)}" if causes else ": as the template now says"]


def differences(before: str, after: str) -> Iterator[str]:
    """`: old -> new`, or where both are JSON documents such a line for each place that differs."""
    try:
        places = list(_places(json.loads(before), json.loads(after), ""))
    except ValueError:
        places = [("", before, after)]
    for place, old, new in places[:MAX_PLACES]:
        yield f"{place}: {_short(old)} -> {_short(new)}"
    if len(places) > MAX_PLACES:
        yield f": and {len(places) - MAX_PLACES} more places"


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
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."


def count(changes: list[Change]) -> str:
    """Such as `2 to add, 3 to modify (1 replaced, 1 perhaps), 1 to remove`."""
    real = [change for change in changes if change.fate]
    replaced, perhaps = (sum(each.fate is fate for each in real) for fate in (Fate.REPLACED, Fate.PERHAPS_REPLACED))
    words = [f"{replaced} replaced"] if replaced else []
    words += [f"{perhaps} perhaps" if replaced else f"{perhaps} perhaps replaced"] if perhaps else []
    parts = []
    for action in ("Add", "Modify", "Remove"):
        if number := sum(change.action == action for change in real):
            note = f" ({', '.join(words)})" if action == "Modify" and words else ""
            parts.append(f"{number} to {action.lower()}{note}")
    return ", ".join(parts) or "no resource changes"


def table(changes: list[Change]) -> list[str]:
    """A line a change (action, resource, type, replacement) and its reasons below; removals last, then what only
    refers to a change."""
    order = {"Add": 0, "Remove": 2}
    real = [change for change in changes if change.fate]
    ranked = sorted(real, key=lambda change: (order.get(change.action, 1), change.fate > Fate.KEPT, change.resource))
    width = max((len(change.resource) for change in ranked), default=0)
    lines = []
    for change in ranked:
        action = change.action.upper() if change.action == "Remove" else change.action.lower()
        kind = change.kind.removeprefix("AWS::")
        lines.append(f"{action:<8}{change.resource:<{width}}  {kind}{NOTES.get(change.fate, '')}")
        lines += [f"          {reason}" for reason in change.reasons]
    if idle := sorted(change.resource for change in changes if not change.fate):
        text = f"unchanged, since what they refer to is not replaced: {', '.join(idle)}"
        lines += textwrap.wrap(text, 110, subsequent_indent="  ")
    return lines
