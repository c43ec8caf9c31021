#!/usr/bin/env bash
# debian.sh FOLDER PACKAGE PROGRAM...: the programs in FOLDER. Links to those in the PATH, else out of Debian's package;
# without root.
set -euo pipefail
folder=$1 package=$2
programs=("${@:3}")

fail() { echo "$package: $*" >&2; exit 1; }
say() { echo "$package: $*" >&2; }

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if command -v "${programs[@]}" >/dev/null && [ "$(command -v "${programs[@]}" | wc -l)" = ${#programs[@]} ]; then
  for program in "${programs[@]}"; do ln -s "$(command -v "$program")" "$folder"; done
else
  fix="install $package, so that ${programs[*]} are in the PATH"
  { command -v apt-get && command -v dpkg-deb; } >/dev/null || fail "not found; $fix"
  say "not in the PATH: unpacking Debian's package"
  cd "$folder"
  if ! apt-get -qq download "$package" 2>/dev/null; then
    # A new machine has no lists of packages, and those of the system are root's: lists of our own.
    mkdir -p apt/lists/partial apt/cache/archives/partial
    lists=(-o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache")
    apt-get -qq "${lists[@]}" update || fail "apt-get update failed (see above); is the mirror reachable? Or $fix"
    apt-get -qq "${lists[@]}" download "$package" || fail "apt-get download failed (see above); $fix"
    rm -rf apt
  fi
  dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --strip-components=3 "${programs[@]/#/./usr/bin/}"
  rm "$package"_*.deb
fi
for program in "${programs[@]}"; do
  "$folder/$program" --version >/dev/null 2>&1 || fail "$folder/$program does not run; install $package for this machine"
done
touch "$folder/ready"
say "$("$folder/${programs[0]}" --version 2>&1 | head -1)"
