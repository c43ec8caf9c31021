#!/usr/bin/env bash
# classes.sh FILE: the jar of consumer/kcl/classes, the classes that stand before the KCL's on the daemon's class path. The
# same bytes from the same sources, by the tools of JDK 17 (17.0.3 or later: an entry's date).
set -euo pipefail
cd "$(dirname "$0")/.."
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
jars=$(.venv/bin/python -c 'from consumer.kcl.daemon_config import jars; print(jars())')
(cd consumer/kcl/classes && find . -name '*.java' | LC_ALL=C sort |
  xargs javac --release 11 -g:none -cp "$jars/*" -proc:none -d "$made")
(cd "$made" && find . -name '*.class' | sed 's|^\./||' | LC_ALL=C sort |
  xargs jar --create --file classes.jar --no-manifest --no-compress --date 2026-01-01T00:00:00Z)
mv "$made/classes.jar" "$1"
