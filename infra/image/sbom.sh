#!/usr/bin/env bash
# sbom.sh IMAGE: writes build/sbom.cdx.json, what the image is made of, as CycloneDX. syft finds it: Python's, Debian's and
# Java's packages, and the Java runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# = 1 ] || { echo "sbom: usage: infra/image/sbom.sh IMAGE" >&2; exit 2; }
image=$1
syft=.lint/sbom/bin/syft
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if docker info >/dev/null 2>&1; then
  docker image inspect "$image" >/dev/null 2>&1 || { echo "sbom: no image $image; make image builds it" >&2; exit 1; }
  source=docker:$image
else
  infra/image/tools.sh buildah
  buildah inspect --type image "$image" >/dev/null 2>&1 || { echo "sbom: no image $image; make image builds it" >&2; exit 1; }
  buildah push --quiet "$image" "oci-archive:$work/image.tar"
  source=oci-archive:$work/image.tar
fi
mkdir -p build
SYFT_CHECK_FOR_APP_UPDATE=false "$syft" scan --quiet --source-name sensorstream --source-version "${image##*:}" \
  --output cyclonedx-json=build/sbom.cdx.json "$source"
echo build/sbom.cdx.json
