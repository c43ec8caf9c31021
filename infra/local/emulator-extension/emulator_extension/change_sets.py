"""Change sets: which resources there are, and which of their properties need a new one when they change.

The latter by AWS's schemas of the resource types (createOnlyProperties and conditionalCreateOnlyProperties), as
replacement.json holds them; a test compares them. It decides what a change set shows, not what the emulator does in an
update.
"""

import json
from collections.abc import Callable
from pathlib import Path

from ministack.services.cloudformation import changesets, stacks

from emulator_extension.upstream import Json, extends

KINDS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("replacement.json").read_text())


@extends(stacks, "_property_recreation")
def recreation(original: Callable[[str, str], str], kind: str, name: str) -> str:
    """`RequiresRecreation` of a property: Always, Conditionally or Never."""
    if kind not in KINDS:
        return original(kind, name)
    if name in KINDS[kind]["always"]:
        return "Always"
    return "Conditionally" if name in KINDS[kind]["conditionally"] else "Never"


@extends(changesets, "_resolve_props_for_diff")
def resolved(original: Callable[..., Json], template: Json, parameters: Json, *place: str) -> Json:
    """The resources to compare, without those whose condition does not hold: they are not there."""
    found = original(template, parameters, *place)
    holds = changesets._evaluate_conditions(template, parameters) if template else {}
    there = {
        name: each for name, each in found.get("Resources", {}).items() if holds.get(each.get("Condition", ""), True)
    }
    return {**found, "Resources": there} if found else found
