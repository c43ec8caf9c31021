#!/usr/bin/env bash
# inside.sh IMAGE COMMAND...: runs a command in the image with our standard input, by docker, else by buildah.
set -euo pipefail
image=$1
shift
missing() { echo "image: no image $image; make image builds it" >&2; exit 1; }

if docker info >/dev/null 2>&1; then
  docker image inspect "$image" >/dev/null 2>&1 || missing
  exec docker run --rm --interactive --network none --read-only "$image" "$@"
fi
"$(dirname "$0")/tools.sh" buildah
container=$(buildah from --pull-never "$image" 2>/dev/null) || missing
trap 'buildah rm "$container" >/dev/null' EXIT
buildah run --isolation chroot "$container" -- "$@"
