"""What can be chosen for a demo: variables of make's command line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from infra.local.process import LocalError
from producer.fleet import Mix
from producer.simulate import Plan


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen on the command line of make."""

    plan: Plan
    shards: int

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """FOR (seconds), DEVICES, RATE, VIA, SHARDS, PROFILE, SHAPE, BATCH, SEED and the shares MALFORMED, DUPLICATES,
        LATE, DISORDER; LocalError names the one that is wrong."""
        number, choice = partial(_number, environ), partial(_choice, environ)
        via = choice("VIA", "mqtt", "kinesis")
        mix = Mix(
            profile=choice("PROFILE", "drift", "uniform"),
            shape=choice("SHAPE", "humidity", "sensorid"),
            batch=int(number("BATCH", 1, 1, 500)),
            malformed=number("MALFORMED", 0.01, 0, 1),
            duplicates=number("DUPLICATES", 0.005, 0, 1),
            late=number("LATE", 0, 0, 1),
            disorder=number("DISORDER", 0, 0, 1),
            binary=via == "kinesis",
        )
        plan = Plan(
            devices=int(number("DEVICES", 50, 1, 10_000)),
            rate=number("RATE", 100, 0.001, 1e6),
            seconds=number("FOR", 0, 0.1) if environ.get("FOR") else None,
            via=via,
            seed=int(number("SEED", 0, 0)) if environ.get("SEED") else None,
            mix=mix,
        )
        return cls(plan, int(number("SHARDS", 2, 1, 64)))

    def under(self, prefix: str) -> "Settings":
        """The same with devices of other names: the stack's simulator may make none but its own."""
        return replace(self, plan=replace(self.plan, prefix=prefix))


def _number(environ: Mapping[str, str], name: str, default: float, least: float, most: float = 1e9) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise LocalError(f"{name}={text} must be a number of {least:g}..{most:g}")
    return value


def _choice(environ: Mapping[str, str], name: str, *allowed: str) -> Any:
    """One of `allowed`, the first by default."""
    value = environ.get(name) or allowed[0]
    if value not in allowed:
        raise LocalError(f"{name}={value} must be one of {', '.join(allowed)}")
    return value
