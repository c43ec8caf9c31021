"""A command line's parser and the values that it takes: what cannot be meant is one line that names the nearest right
word, and nothing may be abbreviated."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Parser(argparse.ArgumentParser):
    """As argparse's, but strict: an abbreviated option could be another one tomorrow."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """One line, exit code 2."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Nothing stays unknown: whose command it is knows best what could be meant."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            near = nearest(unknown[0].partition("=")[0], options)
            self.error(f"{unknown[0]} is not known here" + (f"; did you mean {near}?" if near else ""))
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = nearest(str(value), known)
        hint = f"; did you mean {near}?" if near else ""
        raise argparse.ArgumentError(action, f"{value} is none of {', '.join(known)}{hint}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one; None when none is like it."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return found[0] if found else None


def whole(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: a whole number within bounds."""
    bounds = f"{least} or more" if most is None else f"{least}..{most}"

    def parsed(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= (most or 10**18):
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of {bounds}")
        return int(text)

    return parsed


def number(text: str) -> float:
    """Any finite number."""
    found = _number(text)
    if found is None or not -float("inf") < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return found


def positive(text: str) -> float:
    """A number above 0."""
    found = _number(text)
    if found is None or not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return found


def share(text: str) -> float:
    """A number of 0 to 1."""
    found = _number(text)
    if found is None or not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share of 0..1")
    return found


def seconds(text: str) -> float:
    """A duration, 0 or longer."""
    found = duration(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not a duration such as 90, 90s, 1.5m or 2h")
    return found


def some_seconds(text: str) -> float:
    """A duration that is not 0."""
    found = seconds(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no time at all; give a duration above 0, such as 90, 90s or 1.5m")
    return found


def duration(text: str) -> float | None:
    """Seconds of `90`, `90s`, `1.5m`, `2h` or `1d`; None when it is no duration."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)([smhd]?)", text.strip())
    return float(found[1]) * UNITS[found[2]] if found else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
