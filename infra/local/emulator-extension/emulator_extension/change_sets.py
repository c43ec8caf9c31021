"""Change sets: which properties of a resource need a new one when they change.

By AWS's schemas of the resource types (createOnlyProperties and conditionalCreateOnlyProperties), as replacement.json
holds them; a test compares them. It decides what a change set shows, not what the emulator does in an update.
"""

import json
from collections.abc import Callable
from pathlib import Path

from ministack.services.cloudformation import stacks

from emulator_extension.upstream import extends

KINDS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("replacement.json").read_text())


@extends(stacks, "_property_recreation")
def recreation(original: Callable[[str, str], str], kind: str, name: str) -> str:
    """`RequiresRecreation` of a property: Always, Conditionally or Never."""
    if kind not in KINDS:
        return original(kind, name)
    if name in KINDS[kind]["always"]:
        return "Always"
    return "Conditionally" if name in KINDS[kind]["conditionally"] else "Never"
