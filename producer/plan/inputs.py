"""What is planned: a fleet, and what is chosen for it. An alternative is other inputs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from producer.plan.prices import DATA, REGIONS


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number. `step` is that of a slider that moves evenly; None for one that moves by factors."""

    low: float
    high: float
    text: str
    step: float | None = None
    whole: bool = True


RANGES: Final = {
    "devices": Range(1, 10_000_000, "devices"),
    "interval": Range(0.01, 86_400, "seconds between two readings of a device", whole=False),
    "payload": Range(20, 100_000, "bytes of a reading as it is sent"),
    "per_record": Range(1, 1000, "readings in a message or record (a gateway's batch)"),
    "alerts": Range(0, 1, "share of the readings that raise an alert", 0.001, whole=False),
    "retention": Range(24, 8760, "hours that the stream keeps records"),
    "row_days": Range(1, 3650, "days that the table keeps rows"),
    "rollup_days": Range(1, 3650, "days that the table of rollups keeps its rows"),
    "object_seconds": Range(1, 3600, "seconds that an archive object spans; a rollup is written once for each"),
    "object_records": Range(1, 1_000_000, "records that an archive object holds at most"),
    "archive_months": Range(1, 120, "months of archive in the bucket"),
}
CHOICES: Final = {
    "region": (tuple(REGIONS), "where it runs"),
    "design": (("sensorstream", "lambda", "rules"), "this system; functions and Firehose; IoT rules alone"),
    "intake": (("iot", "basic-ingest", "kinesis"), "messages of IoT Core; its Basic Ingest; straight into the stream"),
    "stream": (("provisioned", "on-demand", "advantage"), "how the stream is paid"),
    "fan_out": (("no", "yes"), "enhanced fan-out"),
    "table": (("on-demand", "provisioned", "reserved"), "how the rows' writes are paid; reserved for a year"),
    "table_class": (("standard", "infrequent"), "the tables' class: Standard or Standard-IA"),
    "resolution": (
        ("0", "10s", "1m", "5m", "1h", "0,10s", "0,1m", "0,5m", "0,1h"),
        "0: a row per reading; 1m: rollups, a row per device and minute; 0,1m: both",
    ),
    "processor": (("arm", "x86"), "processor of the tasks"),
    "spot": (("no", "yes"), "tasks on Fargate Spot"),
}
WINDOWS: Final = {"10s": 10, "1m": 60, "5m": 300, "1h": 3600}
"""Seconds of the windows of rollups."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Units and meanings: RANGES and CHOICES. Raises ValueError for what is outside, or does not go together."""

    devices: float = 1000
    interval: float = 60
    payload: float = 200
    per_record: float = 1
    alerts: float = 0.01
    retention: float = 48
    row_days: float = 30
    rollup_days: float = 30
    object_seconds: float = 60
    object_records: float = 10_000
    archive_months: float = 1
    region: str = str(DATA["region"])
    design: str = "sensorstream"
    intake: str = "iot"
    stream: str = "provisioned"
    fan_out: str = "no"
    table: str = "on-demand"
    table_class: str = "standard"
    resolution: str = "0"
    processor: str = "arm"
    spot: str = "no"

    def __post_init__(self) -> None:
        for name, bounds in RANGES.items():
            number = getattr(self, name)
            if not bounds.low <= number <= bounds.high or (bounds.whole and number != int(number)):
                kind = "a whole number" if bounds.whole else "a number"
                raise ValueError(f"{name} must be {kind} from {bounds.low:g} to {bounds.high:,.10g}: {bounds.text}")
        for name, (choices, _) in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}")
        if self.table == "reserved" and self.table_class == "infrequent":
            raise ValueError("a table of class Standard-IA cannot have reserved capacity")
        if self.design != "sensorstream" and self.resolution != "0":
            raise ValueError("rollups are written by this system alone")
        if self.design == "rules" and self.intake == "kinesis":
            raise ValueError("IoT rules alone need messages of IoT Core")

    @property
    def every_reading(self) -> bool:
        """Whether each has a row."""
        return self.resolution.startswith("0")

    @property
    def window(self) -> int | None:
        """Seconds of a rollup's; None without rollups."""
        return WINDOWS.get(self.resolution.removeprefix("0,"))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def parse(given: Mapping[str, str]) -> Inputs:
    """Inputs from texts, such as those of a query. Raises ValueError, also for a name that is none."""
    known = {field.name for field in fields(Inputs)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{unknown[0]} is no input of a plan; those are {', '.join(sorted(known))}")
    values: dict[str, Any] = dict(given)
    for name in values.keys() & RANGES.keys():
        try:
            values[name] = float(values[name])
        except ValueError:
            raise ValueError(f"{name} must be a number: {RANGES[name].text}") from None
    return Inputs(**values)
