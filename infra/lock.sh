#!/usr/bin/env bash
# lock.sh UV: compiles the hashed requirements; they hold no index addresses.
set -euo pipefail
eval "$(.venv/bin/python infra/indexes.py)"  # uv knows nothing of pip's
compile() {
  "$1" pip compile -q --generate-hashes --no-header --universal --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links "${@:2}"
}
compile "$1" requirements/bootstrap.in -o requirements/bootstrap.txt
compile "$1" requirements/build.in -o requirements/build.txt
compile "$1" infra/local/emulator-extension/pyproject.toml -o requirements/local.txt
compile "$1" requirements/java.in -o requirements/java.txt
compile "$1" requirements/lint-audit.in -o requirements/lint-audit.txt
compile "$1" requirements/lint-checkov.in -o requirements/lint-checkov.txt
compile "$1" requirements/lint-sam.in -o requirements/lint-sam.txt
compile "$1" requirements/lint-sbom.in -o requirements/lint-sbom.txt
compile "$1" requirements/site.in -o requirements/site.txt
compile "$1" requirements/lint-schema.in -o requirements/lint-schema.txt
compile "$1" pyproject.toml -o requirements/service.txt
compile "$1" pyproject.toml --extra tools -c requirements/service.txt -o requirements/tools.txt
compile "$1" pyproject.toml --extra tools --extra dev -c requirements/tools.txt -o requirements/dev.txt
compile "$1" pyproject.toml --extra bench -c requirements/dev.txt -o requirements/bench.txt
