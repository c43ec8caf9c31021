"""Alerts under an AlertPolicy: has each device whose published readings crossed a threshold an episode in the history?

Not each reading makes a message then, and some are told in digests, so it is the history that counts. Rules of another
kind than thresholds look at more than one reading, and are not compared.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from producer.fleet.condition import Condition
from producer.fleet.message import iso_utc
from producer.ops.alert_history import AlertHistory

Rules = list[Mapping[str, Any]]


class Episodes(NamedTuple):
    """Counts as the audit shows them, and (device, name of the rule) of the episodes that are not there."""

    counts: dict[str, int]
    missing: set[tuple[str, str]]


def episodes(
    history: AlertHistory, policy: str, condition: Condition, readings: Iterable[tuple[str, str]], since_ms: int
) -> Episodes:
    """Of (device, value) of readings that meet the condition, the first of them published at that time (ms).

    An episode counts if it was open since then, or ended so shortly before that a cooldown prevented another.
    Raises AWS_ERRORS.
    """
    rules: Rules = json.loads(policy, parse_int=Decimal, parse_float=Decimal)["rules"]
    since = iso_utc(since_ms - 60_000 * int(max(rule.get("cooldown", 0) for rule in rules)))
    expected = set(_expected(rules, condition, readings))
    missing = set(expected)
    for episode in history.episodes():
        if not missing:
            break
        if episode.ended is None or episode.ended.at >= since:
            missing.discard((episode.began.device, episode.began.rule))
    return Episodes({"alerts_expected": len(expected), "alerts": len(expected) - len(missing)}, missing)


def _expected(rules: Rules, condition: Condition, readings: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for device, value in readings:
        for rule in _of(rules, device):
            limit = rule.get("threshold", condition.threshold)
            if condition._replace(threshold=limit).meets(Decimal(value)):
                yield device, rule["name"]


def _of(rules: Rules, device: str) -> Iterator[Mapping[str, Any]]:
    """The rules about a threshold: of those with one name the first that matches the device."""
    seen: set[str] = set()
    for rule in rules:
        pattern = rule.get("devices", "*").replace("[", "[[]")  # a bracket is one of the name
        if fnmatchcase(device, pattern) and rule["name"] not in seen:
            seen.add(rule["name"])
            if not {"change", "silent"} & rule.keys():
                yield rule
