"""A command line's parser: what cannot be meant is one line that names the nearest right word, and nothing may be
abbreviated."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


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
