#!/usr/bin/env bash
# indexes.sh FOLDER: writes where this machine's pip finds packages, and whom it trusts, for the build of the image.
#
# FOLDER/indexes is sourced before packages are installed, FOLDER/authorities is empty or a file of certificates.
set -euo pipefail
folder=$1
python=.venv/bin/python
[ -x "$python" ] || python=python3

# pip's own word comes from its files too; uv and the KCL's setup know none of them.
"$python" infra/indexes.py image >"$folder/indexes"

: >"$folder/authorities"
certificates=${SSL_CERT_FILE:-${PIP_CERT:-$("$python" infra/indexes.py | sed -n 's/^export SSL_CERT_FILE=//p')}}
if [ -n "$certificates" ]; then
  cp "$certificates" "$folder/authorities"
  echo 'export SSL_CERT_FILE=/run/secrets/authorities PIP_CERT=/run/secrets/authorities' >>"$folder/indexes"
fi
