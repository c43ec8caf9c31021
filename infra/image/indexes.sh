#!/usr/bin/env bash
# indexes.sh FOLDER: writes where this machine's pip finds packages, and whom it trusts, for the build of the image.
#
# FOLDER/indexes is sourced before packages are installed, FOLDER/authorities is empty or a file of certificates.
set -euo pipefail
folder=$1

# pip's own word comes from its files too; uv and the KCL's setup know none of them.
index=$({ python3 -m pip config list 2>/dev/null || true; } | sed -n "s/^\(global\|:env:\)\.index-url='\(.*\)'$/\2/p" | tail -n 1)
UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$index}}
PIP_INDEX_URL=${PIP_INDEX_URL:-$UV_DEFAULT_INDEX}
for name in PIP_INDEX_URL UV_DEFAULT_INDEX KCL_MVN_REPO_SEARCH_URL; do
  [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
done >"$folder/indexes"

: >"$folder/authorities"
if [ -n "${SSL_CERT_FILE:-${PIP_CERT:-}}" ]; then
  cp "${SSL_CERT_FILE:-$PIP_CERT}" "$folder/authorities"
  echo 'export SSL_CERT_FILE=/run/secrets/authorities PIP_CERT=/run/secrets/authorities' >>"$folder/indexes"
fi
