"""How often each contract was used, and its paths: counts for the metrics. What is read never depends on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """How many messages a contract read, or readings within them; of its measures and sensors, by name, how often one
    was not there, and how often it was no number; and what messages lacked that no contract read."""

    name: str
    matched: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)

    def came_nearest(self, lacks: Iterable[str]) -> None:
        """Counts the paths for whose sake it did not read a message that no other read either."""
        for path in lacks:
            self.lacking[path] = self.lacking.get(path, 0) + 1
