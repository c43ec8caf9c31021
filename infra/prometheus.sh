#!/usr/bin/env bash
# prometheus.sh FOLDER: prometheus and promtool in FOLDER. Links to those in the PATH, else out of Debian's package; without root.
set -euo pipefail
folder=$1

fail() { echo "prometheus: $*" >&2; exit 1; }
say() { echo "prometheus: $*" >&2; }

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  ln -s "$(command -v prometheus)" "$(command -v promtool)" "$folder"
else
  mend="install Prometheus, so that prometheus and promtool are in the PATH"
  { command -v apt-get && command -v dpkg-deb; } >/dev/null || fail "not found; $mend"
  say "not in the PATH: unpacking Debian's package"
  cd "$folder"
  if ! apt-get -qq download prometheus 2>/dev/null; then
    # A new machine has no lists of packages, and those of the system are root's: lists of our own.
    mkdir -p apt/lists/partial apt/cache/archives/partial
    lists=(-o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache")
    apt-get -qq "${lists[@]}" update || fail "apt-get update failed (see above); is the mirror reachable? Or $mend"
    apt-get -qq "${lists[@]}" download prometheus || fail "apt-get download failed (see above); $mend"
    rm -rf apt
  fi
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/prometheus ./usr/bin/promtool
  rm prometheus_*.deb
fi
"$folder/promtool" --version >/dev/null || fail "$folder/promtool does not run; install Prometheus for this machine"
touch "$folder/ready"
say "$("$folder/prometheus" --version 2>&1 | head -1)"
