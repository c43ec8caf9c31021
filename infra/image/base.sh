#!/usr/bin/env bash
# base.sh NAME: makes the base image NAME from Debian's packages, for machines that reach those but no registry.
#
# The same packages give the same bytes. What the registry's slim image leaves out is left out here as well.
set -euo pipefail
name=$1
debian=http://deb.debian.org

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
leave_out=()
for what in '-exclude=/usr/share/man/*' '-exclude=/usr/share/locale/*' '-exclude=/usr/share/info/*' \
  '-exclude=/usr/share/doc/*' '-include=/usr/share/doc/*/copyright'; do
  leave_out+=("--dpkgopt=path$what")
done
# The hook merges /usr without the program that would bring all of perl. The host's name and resolver do not belong in the image.
# shellcheck disable=SC2016
SOURCE_DATE_EPOCH=0 mmdebstrap --quiet --variant=minbase "${leave_out[@]}" \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' bookworm "$work/root.tar" \
  "deb $debian/debian bookworm main" "deb $debian/debian bookworm-updates main" \
  "deb $debian/debian-security bookworm-security main" >"$work/log" 2>&1 || {
  tail -n 3 "$work/log" >&2
  echo "image: the base cannot be made; are Debian's packages reachable?" >&2
  exit 1
}

container=$(buildah from scratch)
buildah add -q "$container" "$work/root.tar" / >/dev/null
buildah config --cmd bash "$container"
buildah commit -q --rm --timestamp 0 --format docker "$container" "$name" >/dev/null
