"""What is known against the dependencies: everything that requirements/*.txt name, on any platform.

Exit codes: 0 all were checked and nothing is known, 1 something is known against one, 3 some could not be checked
(make tells the code and itself ends with 2 in both cases).
pip-audit by itself takes a package for fine that its source does not know.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.process import ROOT

PIP_AUDIT = ROOT / ".lint/audit/bin/pip-audit"
SOURCES = (("pypi",), ("osv",))
"""What pip-audit asks, in this order: the next is asked for what is still unknown."""
FOUND, UNCHECKED = 1, 3
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)

Pin = tuple[str, str]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`findings` are lines for a person; `problem` is why there are `unchecked` packages."""

    findings: list[str]
    unchecked: list[Pin]
    problem: str


def pinned(files: Iterable[Path]) -> list[Pin]:
    return sorted({pin for file in files for pin in _PINNED.findall(file.read_text())})


def audit(pins: Sequence[Pin], sources: Sequence[Sequence[str]] = SOURCES) -> Answer:
    """`sources` are pip-audit's name of a vulnerability service, with further arguments."""
    findings: list[str] = []
    left, problems = list(pins), []
    for source in sources:
        answers = [_ask(source, one) for one in _rounds(left)]
        findings += [finding for answer in answers for finding in answer.findings]
        left = sorted(pin for answer in answers for pin in answer.unchecked)
        problems += sorted({f"{source[0]}: {answer.problem}" for answer in answers if answer.unchecked})
    return Answer(sorted(findings), left, "; ".join(problems))


def _rounds(pins: Iterable[Pin]) -> list[list[Pin]]:
    """pip-audit takes one version of a package at a time."""
    seen: Counter[str] = Counter()
    rounds: list[list[Pin]] = []
    for pin in pins:
        number = seen[pin[0]]
        seen[pin[0]] += 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(pin)
    return rounds


def _ask(source: Sequence[str], pins: list[Pin]) -> Answer:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in pins)
        file.flush()
        command = [str(PIP_AUDIT), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        command += ["-r", file.name, "-s", *source]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if not ended.stdout.strip():
        problem = ended.stderr.strip().rpartition("\n")[2].partition(" (Caused by")[0]
        return Answer([], pins, problem or f"exit code {ended.returncode}")
    findings, skipped = [], set()
    for each in json.loads(ended.stdout)["dependencies"]:
        if "skip_reason" in each:
            skipped.add(_normal(each["name"]))
        for known in each.get("vulns", ()):
            names = ", ".join([known["id"], *known["aliases"]])
            fixed = f"fixed in {', '.join(known['fix_versions'])}" if known["fix_versions"] else "no fix is known"
            findings.append(f"{each['name']} {each['version']}: {names}; {fixed}")
    unchecked = [pin for pin in pins if _normal(pin[0]) in skipped]
    return Answer(findings, unchecked, "has no data about them" if unchecked else "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def report(pins: Sequence[Pin], answer: Answer) -> int:
    """Prints it; the exit code."""
    for finding in answer.findings:
        print(finding)
    if answer.unchecked:
        print(
            f"audit-dependencies: {len(answer.unchecked)} of {len(pins)} dependencies could NOT be checked "
            f"({answer.problem})",
            file=sys.stderr,
        )
    elif not answer.findings:
        print(f"{len(pins)} dependencies checked: nothing is known against them")
    if answer.findings:
        return FOUND
    return UNCHECKED if answer.unchecked or not pins else 0


if __name__ == "__main__":
    everything = pinned(sorted((ROOT / "requirements").glob("*.txt")))
    sys.exit(report(everything, audit(everything)))
