"""The variables of make's command line: which of them each target takes, and how they are read.

A name that a target does not take is refused, with the nearest one that it does: what is misspelt would else be what is
left out, and `KEEPDATA=1` would delete. The Makefile asks before it runs anything, with any Python that it finds (so
this file is written for old ones, too, and imports nothing of the others):

    python infra/switches.py [TARGET...] -- [NAME...]

prints `refused: WHY` for names on the command line that are not taken, else all names that only count there.
"""

import difflib
import sys
from typing import Dict, Iterable, List, Optional, Sequence, Tuple  # noqa: UP035 - also for Python 3.8

PORTS = ("AWS_PORT", "MQTT_PORT", "HTTP_PORT")
LOCAL = ("STACK", *PORTS, "PARAMS", "ARCHIVE_MAX_SECONDS")
FLEET = (
    "FOR", "DEVICES", "RATE", "VIA", "SHARDS", "PROFILE", "SHAPE", "BATCH", "AGGREGATE", "SEED", "MALFORMED",
    "DUPLICATES", "LATE", "DISORDER",
)  # fmt: skip
DEPLOY = ("STACK", "REGION", "EMAIL", "PARAMS", "IMAGE", "ROLE", "JSON")
PLAIN = (
    "help", "setup", "test", "docs", "check", "lint", "types", "imports", "format",
    "audit-dependencies", "lock", "site", "wheel", "profile", "clean", "bench-scale", "screenshots",
)  # fmt: skip
TARGETS = {
    "demo": (*LOCAL, "CONTRACT", *FLEET),
    "up": (*LOCAL, "CONSUMER", "CONSOLE"),
    "watch": ("PROMETHEUS_PORT",),
    "deploy": DEPLOY,
    "plan": DEPLOY,
    "destroy": ("STACK", "REGION", "ROLE", "KEEP_DATA", "DELETE_DATA", "YES", "JSON"),
    "package": ("BUCKET", "FOLDER", "REGION", "JSON"),
    "image": ("IMAGE", "ARCH", "BASE"),
    "image-test": ("IMAGE", "ARCH", "BASE"),
    "push": ("STACK", "REGION", "IMAGE", "ARCH", "JSON"),
    "sbom": ("IMAGE",),
    "crashtest": ("SCHEDULES", "SEED"),
    "crashtest-mutants": ("SCHEDULES", "SEED"),
    "faults": ("ROUNDS", "SEED", "ONLY"),
    "bench": ("QUICK",),
    "bench-compact": ("LINES", "ODD"),
    "alert-storm": ("DEVICES",),
    "dashboards": ("RUNBOOK",),
    **dict.fromkeys(PLAIN, ()),
}  # type: Dict[str, Tuple[str, ...]]
SWITCHES = tuple(sorted({name for names in TARGETS.values() for name in names}))

# Settings of this machine: every target takes them, from its environment as well.
MACHINE = (
    "PYTHON",
    "SHELL",
    "MAKEFLAGS",
    "JAVA",
    "LOCAL_DIR",
    "DEVICES_DIR",
    "KCL_MVN_REPO_SEARCH_URL",
    "SSL_CERT_FILE",
    "NO_COLOR",
)
FAMILIES = ("AWS_", "PIP_", "UV_")
NEARLY = 0.85  # similarity from which on a name counts as misspelt: AWS_PROT, but not AWS_PROFILE

WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class SwitchError(Exception):
    """Why the command line cannot be meant, in one line."""


def check(targets: Sequence[str], names: Iterable[str]) -> None:
    """SwitchError for the first of the targets that is a variable without its value, or nearly a target (make would run
    those before it), and for the first of the names that none of the targets takes."""
    for target in targets:
        if target in SWITCHES:
            raise SwitchError(f"{target} alone says nothing: {target}=value")
        if target not in TARGETS and (near := nearest(target, TARGETS)):
            raise SwitchError(f"there is no target {target}; did you mean {near}?")
    known = [target for target in targets if target in TARGETS]
    taken = [name for target in known for name in TARGETS[target]]
    for name in names:
        if name in taken or name in MACHINE:
            continue
        if name.startswith(FAMILIES) and name not in SWITCHES and not nearest(name, taken, NEARLY):
            continue
        raise SwitchError(_refusal(" ".join(["make", *known]), name, taken))


def _refusal(command: str, name: str, taken: List[str]) -> str:  # noqa: UP006
    others = ["make " + target for target, names in TARGETS.items() if name in names]
    near = nearest(name, [*taken, *MACHINE])
    takes = f"it takes {', '.join(sorted(taken))}" if taken else "it takes none"
    if others:
        meant = f"did you mean {near}? " if near else ""
        return f"{command} takes no {name} ({', '.join(others)} would): {meant}{takes}"
    if not near and "PARAMS" in taken and not name.isupper():
        return f'{command} takes no {name}: parameters of the templates go into PARAMS="{name}=..."'
    return f"{command} takes no {name}: {f'did you mean {near}?' if near else takes}"


def nearest(name: str, known: Iterable[str], alike: float = 0.7) -> Optional[str]:  # noqa: UP045 - also for Python 3.8
    """The known name that is most like this one, capitals and underscores aside; None when none is like it."""
    plain = {each.upper().replace("_", "").replace("-", ""): each for each in known}
    found = difflib.get_close_matches(name.upper().replace("_", "").replace("-", ""), plain, 1, alike)
    return plain[found[0]] if found else None


def words(target: str, arguments: Iterable[str]) -> Tuple[Dict[str, str], List[str]]:  # noqa: UP006 - also for Python 3.8
    """`NAME=value` words of a command as a mapping, and the other arguments; SwitchError for names it does not take.

    A name without a value counts as not given, as in make.
    """
    given, rest = {}, []  # type: Dict[str, str], List[str]
    for argument in arguments:
        name, is_word, value = argument.partition("=")
        if is_word and name.isidentifier():
            given[name] = value
        else:
            rest.append(argument)
    check([target], given)
    return {name: value for name, value in given.items() if value}, rest


def yes(name: str, value: str) -> bool:
    """Whether a switch is on; SwitchError for anything but yes, no, true, false, 1 and 0."""
    if value.lower() not in WORDS:
        raise SwitchError(f"{name}={value} must be one of {', '.join(WORDS)}")
    return WORDS[value.lower()]


def main(arguments: Sequence[str]) -> int:
    """For the Makefile: one line on stdout."""
    split = arguments.index("--")
    try:
        check(arguments[:split], arguments[split + 1 :])
    except SwitchError as error:
        print("refused:", error)
    else:
        print(*SWITCHES)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
