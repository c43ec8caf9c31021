"""Counts of how each contract and its paths were used, for the metrics only: no result depends on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """`matched`: messages, or elements of `each`, that the contract read. By measure or sensor: `missing`, and
    `unusable` (not a number). `lacking`: required paths that were missing in messages that matched no contract, this
    one being the nearest."""

    name: str
    matched: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)

    def came_nearest(self, lacks: Iterable[str]) -> None:
        """Counts the missing paths of a message that matched no contract, this one being nearest."""
        for path in lacks:
            self.lacking[path] = self.lacking.get(path, 0) + 1
