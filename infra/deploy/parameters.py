"""Whether parameters can be what they are given as, by the templates' own declarations, before anything is asked."""

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.deploy import templates
from infra.deploy.cloudformation import InputError
from infra.functions.alert.policy import LooserError, parse
from infra.switches import nearest
from producer.fleet.topics import patterns

OF_SETTINGS = {"ReadingContracts": "reading_contracts", "InitialPosition": "initial_position"}
"""Parameters whose values only the consumer can judge."""
INLINE = {"ReadingContracts": "[", "AlertPolicy": "{"}
"""Parameters of JSON, with its first character; what begins otherwise names a file."""
POLICY = {"AlertPolicy", "AlertWhen", "AlertThreshold", "HumidityThreshold"}
"""Parameters that an alert policy depends on."""
MAX_LENGTH = 4096
"""Characters of a parameter's value in CloudFormation."""
BY_VARIABLES = {"Image": "IMAGE=...", "ServiceRoleArn": "ROLE=..."}
DERIVED = {"TopicDeviceLevel": "TopicPattern"}
"""Parameters that deploy computes from others."""
CHOSEN = {"VpcId", "SubnetIds"}
"""Without a default, and yet not made by the deployment alone."""


def assignments(text: str | None) -> dict[str, str]:
    """`Name=value Name="other value"` as a mapping; InputError for anything else."""
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise InputError(f"PARAMS={text}: {error}") from None
    given: dict[str, str] = {}
    for word in words:
        name, is_word, value = word.partition("=")
        if not is_word or not name.isalnum():
            raise InputError(f'PARAMS: {word} is not Name=value; such as PARAMS="ShardCount=4 MaxTasks=2"')
        if given.setdefault(name, value) != value:
            raise InputError(f"PARAMS: {name} is given twice, as {given[name]} and as {value}")
    for name, bracket in INLINE.items():
        if text_or_file := given.get(name):
            given[name] = _inline(name, bracket, text_or_file)
    return given


def _inline(name: str, bracket: str, text: str) -> str:
    """JSON as task or function get it: inline, without the blanks of the file that `text` may name."""
    if not text.startswith(bracket):
        try:
            found = json.dumps(json.loads(Path(text).read_text()), separators=(",", ":"), ensure_ascii=False)
            found.encode()  # there may be half of a surrogate pair
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{name}: {text}: {getattr(error, 'strerror', None) or error}") from None
        text = found
    if len(text) > MAX_LENGTH:
        raise InputError(f"{name} has {len(text)} characters, but a parameter at most {MAX_LENGTH}")
    return text


def require_valid(given: Mapping[str, str]) -> None:
    """InputError for the first parameter that no template has, that is the deployment's own affair, or whose value is
    excluded by its declaration or by the consumer."""
    declared: dict[str, list[dict[str, Any]]] = {}
    for path in templates.TEMPLATES:
        for name, declaration in templates.parameters(path).items():
            declared.setdefault(name, []).append(declaration)
    for name, value in given.items():
        if name not in declared:
            near = nearest(name, declared, 0.6)
            meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(declared))}"
            raise InputError(f"no template has a parameter {name}; {meant}")
        if name in BY_VARIABLES:
            raise InputError(f"{name} is given as {BY_VARIABLES[name]}, not in PARAMS")
        if name in DERIVED:
            raise InputError(f"{name} follows from {DERIVED[name]} and cannot be chosen")
        if name not in CHOSEN and not any("Default" in declaration for declaration in declared[name]):
            raise InputError(f"{name} follows from the deployment itself and cannot be chosen")
        for declaration in declared[name]:
            if wrong := _why_not(declaration, value):
                raise InputError(f"{name}={value} {wrong}")
        if value and name in OF_SETTINGS:
            _require_setting(name, value)
        if name == "TopicPattern":
            _require_topics(value)
    try:
        require_policy(given, {})
    except InputError as error:
        if not isinstance(error.__cause__, LooserError):  # which depends on the parameters of the stack that is there
            raise


def require_policy(given: Mapping[str, str], deployed: Mapping[str, str]) -> None:
    """InputError with what the alert function would say at each call, if one of the parameters that decide it is given;
    the others are as they are deployed, or the template's defaults."""
    if not POLICY.intersection(given):
        return
    defaults = {name: str(each.get("Default", "")) for name, each in templates.parameters(templates.DATA).items()}
    known = {**defaults, **deployed, **given}
    try:
        if known["AlertPolicy"]:
            parse(known["AlertPolicy"], known["AlertWhen"], known["AlertThreshold"] or known["HumidityThreshold"])
    except ValueError as error:
        raise InputError(f"AlertPolicy: {error}") from error


def _require_setting(name: str, value: str) -> None:
    """InputError with what the consumer would say, and end, at each start of a task."""
    from consumer.settings import Settings  # needs packages that the emulator's container lacks

    [parse] = [f.metadata["parse"] for f in dataclasses.fields(Settings) if f.name == OF_SETTINGS[name]]
    try:
        parse(value)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _require_topics(value: str) -> None:
    """InputError for what the template's pattern cannot see: too long a topic, or two patterns for one."""
    try:
        patterns(value)
    except ValueError as error:
        raise InputError(f"TopicPattern: {error}") from None


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
