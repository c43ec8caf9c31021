#!/usr/bin/env bash
# lint.sh: what others' tools say about the templates, offline. Exceptions stand beside the resource they are about, with
# their reason. tests/unit/test_policy.py holds our own rules.
set -euo pipefail
templates=(infra/data.yaml infra/network.yaml infra/service.yaml infra/deployer.yaml)
export SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true LOG_LEVEL=ERROR
trace() { echo "$*"; "$@"; }

trace .venv/bin/cfn-lint --non-zero-exit-code informational "${templates[@]}"
for template in "${templates[@]}"; do
  trace .lint/sam/bin/sam validate --lint --region eu-central-1 --template-file "$template"
done
trace .lint/checkov/bin/checkov --quiet --compact --skip-download --framework cloudformation \
  "${templates[@]/#/--file=}"
