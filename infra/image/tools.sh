#!/usr/bin/env bash
# tools.sh COMMAND...: sees to it that these commands are there; root on Debian gets them installed. The command `engine`
# stands for docker where its daemon answers, else for what podman needs.
set -euo pipefail
if [ "$*" = engine ]; then
  docker info >/dev/null 2>&1 && exit 0
  set -- podman runc
fi
missing=()
for command in "$@"; do
  command -v "$command" >/dev/null || missing+=("$command")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "image: neither a docker engine nor ${missing[*]} is here; start docker, or: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "image: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# Each command's package has the command's name.
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$log" 2>&1 ||
  { tail -n 3 "$log" >&2; echo "image: apt-get cannot install ${missing[*]}" >&2; exit 1; }
