"""Whether parameters can be what they are given as, by the templates' own declarations, before anything is asked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import templates
from infra.cloudformation import InputError
from infra.switches import nearest


def require_valid(given: Mapping[str, str], paths: tuple[Path, ...]) -> None:
    """InputError for the first parameter that no template has, or whose value its declaration excludes."""
    declared: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        for name, declaration in templates.parameters(path).items():
            declared.setdefault(name, []).append(declaration)
    for name, value in given.items():
        if name not in declared:
            near = nearest(name, declared, 0.6)
            raise InputError(
                f"no template has a parameter {name}; "
                + (f"did you mean {near}?" if near else f"there are {', '.join(sorted(declared))}")
            )
        for declaration in declared[name]:
            if wrong := _why_not(declaration, value):
                raise InputError(f"{name}={value} {wrong}")


def _why_not(declared: Mapping[str, Any], value: str) -> str:
    """What the declaration asks for instead; "" when the value is one that it takes."""
    if "AllowedValues" in declared:
        allowed = [str(each) for each in declared["AllowedValues"]]
        return "" if value in allowed else f"must be one of {', '.join(allowed)}"
    if declared["Type"] == "Number":
        return _not_within(declared, value)
    pattern = declared.get("AllowedPattern")
    each = value.split(",") if "List" in declared["Type"] else [value]  # a list's pattern is that of its elements
    if pattern and not all(re.fullmatch(pattern, one) for one in each):
        return f"is not {declared.get('ConstraintDescription', f'of the form {pattern}')}"
    return ""


def _not_within(declared: Mapping[str, Any], value: str) -> str:
    """CloudFormation would also take 1.5 for a count, and give it to what does not; what has bounds is a count."""
    least, most = declared.get("MinValue"), declared.get("MaxValue")
    if least is None:
        return "" if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", value) else "must be a number"
    inside = re.fullmatch("[0-9]{1,9}", value) and least <= int(value) and (most is None or int(value) <= most)
    bounds = f"of at least {least:,}" if most is None else f"of {least:,} to {most:,}"
    return "" if inside else f"must be a whole number {bounds}"
