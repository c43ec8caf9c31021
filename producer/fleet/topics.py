"""Pure: the topics that a deployment's devices publish on, as the template's parameter TopicPattern names them.

Each pattern is a topic with `{device}` as one of its levels; several are separated by commas. The form is the
template's own (AllowedPattern); what it cannot say is said here: how long a topic may be, and that no topic fits two.
"""

import re
from typing import NamedTuple, Self

DEVICE = "{device}"
DEFAULT = "device/{device}/devicePayload"
MOST = 3  # rules that infra/data.yaml has room for
MOST_LEVELS, MOST_BYTES = 8, 256  # of a topic, IoT Core's limits
LONGEST_NAME = 128  # of a thing
_LEVEL = re.compile(r"[A-Za-z0-9_.:@=-]+")


class Pattern(NamedTuple):
    """One of them, level by level."""

    levels: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError saying what is wrong, to be read behind the pattern."""
        levels = tuple(text.split("/"))
        if levels.count(DEVICE) != 1:
            raise ValueError(f"has {DEVICE} as exactly one of its levels, such as {DEFAULT}")
        if not all(level == DEVICE or _LEVEL.fullmatch(level) for level in levels):
            raise ValueError("has levels of A-Z a-z 0-9 _ . : @ = - only, none of them empty")
        if len(levels) > MOST_LEVELS:
            raise ValueError(f"has {len(levels)} levels; AWS IoT Core takes {MOST_LEVELS}")
        if (size := len(text) - len(DEVICE) + LONGEST_NAME) > MOST_BYTES:
            raise ValueError(f"makes topics of up to {size} bytes; AWS IoT Core takes {MOST_BYTES}")
        return cls(levels)

    @property
    def level(self) -> int:
        """Where the device stands, counted from 1 as by `topic(n)` of IoT SQL."""
        return self.levels.index(DEVICE) + 1

    def topic(self, device: str) -> str:
        """What a device of this name publishes on."""
        return "/".join(device if level == DEVICE else level for level in self.levels)

    def device(self, topic: str) -> str | None:
        """The device's name in a topic of this pattern; None for any other topic."""
        levels = topic.split("/")
        if len(levels) != len(self.levels):
            return None
        pairs = zip(self.levels, levels, strict=True)
        return levels[self.level - 1] if all(own in (DEVICE, level) for own, level in pairs) else None

    def overlaps(self, other: "Pattern") -> bool:
        """Whether there is a topic of both, whose messages would come twice."""
        if len(self.levels) != len(other.levels):
            return False
        return all(DEVICE in pair or pair[0] == pair[1] for pair in zip(self.levels, other.levels, strict=True))

    def __str__(self) -> str:
        return "/".join(self.levels)


def patterns(text: str) -> list[Pattern]:
    """All patterns of a parameter's value; raises ValueError saying which is wrong and why."""
    found: list[Pattern] = []
    for each in text.split(","):
        try:
            pattern = Pattern.parse(each)
        except ValueError as error:
            raise ValueError(f"a topic's pattern {error}, not {each!r}") from None
        if twice := next((other for other in found if other.overlaps(pattern)), None):
            raise ValueError(f"{twice} and {pattern} fit the same topics, whose messages would come twice")
        found.append(pattern)
    if len(found) > MOST:
        raise ValueError(f"{len(found)} patterns; there are rules for {MOST}")
    return found


def device_levels(text: str) -> str:
    """The level of the device in each pattern: the template's parameter TopicDeviceLevel."""
    return ",".join(str(pattern.level) for pattern in patterns(text))


def device_of(known: list[Pattern], topic: str) -> str | None:
    """The device's name in a topic of one of the patterns, also below the name of a rule (Basic Ingest)."""
    if topic.startswith("$aws/rules/"):
        topic = topic.split("/", 3)[-1]
    return next((name for pattern in known if (name := pattern.device(topic)) is not None), None)
