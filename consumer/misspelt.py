"""Pure: finds misspelt and renamed settings in the environment, which would otherwise be ignored silently.

A name is compared word by word with each setting's, so that variables that have nothing to do with us (HOSTNAME,
LOG_LEVEL_X, HTTPS_PORT, WORKER_IP) are left alone. What remains can be emptied: an empty variable counts as not set.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

FOREIGN: Final = frozenset({"HTTPS_HOST", "HTTPS_PORT", "HTTP_POST"})
"""Names close to ours that other programs use."""

TIME_UNITS: Final = re.compile(r"DAYS?|HOURS?|MILLIS?|MINS?|MINUTES?|MS|S|SECS?|SECONDS?")
SIZE_UNITS: Final = re.compile(r"BYTES?|[GKM]I?B")
"""Units at the end of a name, which are easily confused or left out."""

AWS_VARIABLES: Final = ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")
"""The variables that select account, region and endpoint, read by every program."""

RENAMED: Final = {
    "PARCEL_RECORDS": "ARCHIVE_MAX_RECORDS",
    "PARCEL_BYTES": "ARCHIVE_MAX_BYTES",
    "PARCEL_SECONDS": "ARCHIVE_MAX_SECONDS",
}
"""Settings of 0.1.0 under their old names."""
REPLACED: Final = {"READING_FIELDS": "READING_CONTRACTS", "MEASURES": "READING_CONTRACTS"}
"""Settings of 0.2.0, and the setting that has taken their place."""


def faults(environ: Mapping[str, str], settings: Collection[str]) -> Iterator[str]:
    """A line for each renamed, replaced or misspelt variable."""
    for name in sorted(RENAMED.keys() & environ.keys()):
        if environ[name].strip() and RENAMED[name] in settings:
            yield f"{name}: was renamed; set {RENAMED[name]} instead"
    for name in sorted(REPLACED.keys() & environ.keys()):
        if environ[name].strip() and REPLACED[name] in settings:
            yield f"{name}: was replaced; set {REPLACED[name]} instead (see docs/contracts.md)"
    for name, near in misspelt(environ, settings):
        yield f"{name}: is not a setting; did you mean {near}? If it is another program's, empty it here"


def misspelt(environ: Mapping[str, str], settings: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each variable that is set and looks like a misspelt one of `settings`, with the setting that it looks like."""
    for name in sorted(environ):
        if environ[name].strip() and name not in {*settings, *FOREIGN, *REPLACED} and (near := nearest(name, settings)):
            yield name, near


def nearest(name: str, settings: Collection[str]) -> str | None:
    """The setting that a misspelt name most likely means; None where it means none."""
    found = [(badness, setting) for setting in settings if (badness := _badness(name, setting)) is not None]
    return min(found)[1] if found else None


def _badness(name: str, setting: str) -> int | None:
    """0: the same letters; more with each that differs; None: another name."""
    upper = "".join(each if each.isalnum() else "_" for each in name.upper()).strip("_")
    if upper.replace("_", "") == setting.replace("_", ""):
        return 0
    given, wanted = upper.split("_"), setting.split("_")
    if given == [*wanted, "NAME"]:
        return 1
    if len(given) == len(wanted):
        distances = [_distance(one, other) for one, other in zip(given, wanted, strict=True)]
        fits = all(d <= _allowed(one, other) for d, one, other in zip(distances, given, wanted, strict=True))
        if fits and sum(distances) <= 2:
            return sum(distances)
    return 3 if _other_unit(given, wanted) else None


def _other_unit(given: list[str], wanted: list[str]) -> bool:
    """Whether they differ in a unit, or one of them lacks it."""
    for kind in (TIME_UNITS, SIZE_UNITS):
        if kind.fullmatch(wanted[-1]):
            return given[:-1] == wanted[:-1] if kind.fullmatch(given[-1]) else len(given) > 1 and given == wanted[:-1]
    return False


def _allowed(given: str, word: str) -> int:
    """Letters of a word that may be wrong: short words become others too easily, but not with one letter more."""
    if len(word) < 4:
        return len(given) == len(word) + 1
    return 1 if len(word) < 8 else 2


def _distance(one: str, other: str) -> int:
    """Letters to insert, leave out, change, or swap with the next, to make one word of the other."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
