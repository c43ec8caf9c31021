"""How often each contract was used, and its paths: counts for the metrics. What is read never depends on them."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """How many messages a contract read, or readings within them; and of its measures and sensors, by name, how often
    one was not there, and how often it was no number."""

    name: str
    matched: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)
