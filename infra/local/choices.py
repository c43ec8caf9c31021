"""What can be chosen for a demo: variables of make's command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from infra.deploy.cloudformation import InputError
from infra.deploy.options import assignments
from producer.arguments import duration, nearest
from producer.aws.errors import UserError
from producer.fleet.order import Mix
from producer.fleet.simulate import Plan

OWN = {"ShardCount": "SHARDS", "SimulatorDevices": "DEVICES"}
"""Parameters that the demo sets itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen on the command line of make."""

    plan: Plan
    shards: int

    @classmethod
    def load(cls, given: Mapping[str, str]) -> "Settings":
        """FOR (a duration), DEVICES, RATE, VIA, SHARDS, PROFILE, SHAPE, BATCH, SEED, and the shares MALFORMED,
        DUPLICATES, LATE, DISORDER; InputError names the one that is wrong."""
        for name in assignments(given.get("PARAMS")).keys() & OWN:
            raise InputError(f"PARAMS: {name} follows from {OWN[name]}=..., which the demo takes instead")
        number, whole, choice = partial(_number, given), partial(_whole, given), partial(_choice, given)
        via = choice("VIA", "mqtt", "kinesis")
        mix = Mix(
            profile=choice("PROFILE", "drift", "uniform"),
            shape=choice("SHAPE", "humidity", "sensorid"),
            batch=whole("BATCH", 1, 1, 500),
            malformed=number("MALFORMED", 0.01, 0, 1),
            duplicates=number("DUPLICATES", 0.005, 0, 1),
            late=number("LATE", 0, 0, 1),
            disorder=number("DISORDER", 0, 0, 1),
            binary=via == "kinesis",
        )
        plan = Plan(
            devices=whole("DEVICES", 50, 1, 10_000),
            rate=number("RATE", 100, 0.001, 1e6),
            seconds=_seconds(given, "FOR"),
            via=via,
            seed=whole("SEED", 0, 0) if given.get("SEED") else None,
            mix=mix,
        )
        try:
            plan.check()
        except UserError as error:
            raise InputError(str(error)) from None
        return cls(plan, whole("SHARDS", 2, 1, 64))

    def under(self, prefix: str) -> "Settings":
        """The same with devices of other names: the stack's simulator may make none but its own."""
        return replace(self, plan=replace(self.plan, prefix=prefix))


def _number(given: Mapping[str, str], name: str, default: float, least: float, most: float = 1e9) -> float:
    text = given.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise InputError(f"{name}={text} must be a number of {least:g}..{most:g}")
    return value


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int = 10**9) -> int:
    text = given.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise InputError(f"{name}={text} must be a whole number of {least}..{most}")
    return int(text)


def _seconds(given: Mapping[str, str], name: str) -> float | None:
    """None when it is not given."""
    text = given.get(name)
    if not text:
        return None
    seconds = duration(text)
    if not seconds:
        raise InputError(
            f"{name}={text} must be a time in seconds or with its unit, such as {name}=90, 90s, 1.5m or 2h"
        )
    return seconds


def _choice(given: Mapping[str, str], name: str, *allowed: str) -> Any:
    """One of `allowed`, the first by default."""
    value = given.get(name) or allowed[0]
    if value not in allowed:
        near = nearest(value, allowed)
        raise InputError(
            f"{name}={value} must be one of {', '.join(allowed)}{f'; did you mean {near}?' if near else ''}"
        )
    return value
