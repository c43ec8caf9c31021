#!/usr/bin/env bash
# build.sh IMAGE [ARM64|X86_64]: builds the image of this checkout, by docker where an engine answers, else by buildah.
#
# TARGET=tools builds the image with the commands, for simulator and compaction, instead of the service's.
# BASE=debian:bookworm-slim@sha256:... pins the base. The package indexes and authorities of the build machine reach the
# build as secrets, so that no layer keeps them. The same commit on the same base and packages gives the same layers.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 1 ] || { echo "image: usage: infra/image/build.sh IMAGE [ARM64|X86_64]" >&2; exit 2; }
image=$1
base=${BASE:-debian:bookworm-slim}
target=${TARGET:-service}

fail() { echo "image: $*" >&2; exit 1; }
say() { echo "image: $*" >&2; }

case "$(uname -m)" in aarch64 | arm64) own=ARM64 ;; *) own=X86_64 ;; esac
architecture=${2:-$own}
case "$architecture" in
  ARM64) platform=linux/arm64 ;;
  X86_64) platform=linux/amd64 ;;
  *) fail "architecture $architecture must be ARM64 or X86_64" ;;
esac

secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT
infra/image/indexes.sh "$secrets"

arguments=(
  --tag "$image" --target "$target" --build-arg "BASE=$base"
  --build-arg "REVISION=$(git describe --always --dirty --abbrev=40 2>/dev/null || echo unknown)"
  --secret "id=indexes,src=$secrets/indexes" --secret "id=authorities,src=$secrets/authorities"
)
# Everything in the image is as old as the commit.
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)

if docker info >/dev/null 2>&1; then
  say "building $image for $platform by docker"
  docker buildx version >/dev/null 2>&1 || fail "docker has no buildx; install its plugin (docker-buildx-plugin)"
  [ "$architecture" = "$own" ] || docker buildx inspect --bootstrap | grep -q "$platform" ||
    fail "this machine cannot build $platform; install qemu's binfmt handlers, or build on such a machine"
  SOURCE_DATE_EPOCH=$epoch docker buildx build --platform "$platform" --load "${arguments[@]}" . >&2
  say "$image has $(($(docker image inspect --format '{{.Size}}' "$image") / 1000000)) MB"
  exit
fi

[ "$architecture" = "$own" ] || fail "without docker $platform is built on such a machine only; this one is $own"
infra/image/tools.sh buildah
if ! buildah inspect --type image "$base" >/dev/null 2>&1 && ! buildah pull -q "docker.io/library/$base" >/dev/null 2>&1; then
  [[ "$base" != *@* ]] || fail "no registry answers for $base"
  say "no registry answers for $base: making it from Debian's packages"
  infra/image/tools.sh mmdebstrap
  infra/image/base.sh "$base"
fi
say "building $image for $platform by buildah"
# Without cgroups and namespaces: this works within containers and other small machines.
mkdir -p build
buildah build --layers --isolation chroot --format docker --timestamp "$epoch" "${arguments[@]}" . >build/image.log 2>&1 ||
  { tail -n 20 build/image.log >&2; fail "the build failed; all that it said is in build/image.log"; }
say "$image has $(buildah images --format '{{.Size}}' "$image")"
