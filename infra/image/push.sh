#!/usr/bin/env bash
# push.sh IMAGE REPOSITORY_URI: pushes IMAGE under its tag; prints the reference of what was pushed, by its digest.
#
# Into ECR with a token of the caller's AWS credentials, which is kept nowhere; any other registry is asked as the
# engine's own login says. REGISTRY_INSECURE=1 speaks plain HTTP, for a registry of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# = 2 ] || { echo "push: usage: infra/image/push.sh IMAGE REPOSITORY_URI" >&2; exit 2; }
image=$1 repository=$2
reference=$repository:${image##*:}
registry=${repository%%/*}

fail() { echo "push: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
password=
if [[ "$registry" =~ ^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\. ]]; then
  password=$(.venv/bin/python -m infra token "${BASH_REMATCH[1]}") || fail "no token for $registry (see above)"
fi

if docker info >/dev/null 2>&1; then
  if [ -n "$password" ]; then
    # A configuration of its own; where the engine is stands in the caller's.
    DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
    export DOCKER_HOST DOCKER_CONFIG=$work
    docker login --username AWS --password-stdin "$registry" <<<"$password" >/dev/null 2>"$work/log" ||
      { cat "$work/log" >&2; fail "$registry refuses the token"; }
  fi
  docker tag "$image" "$reference"
  docker push "$reference" >&2
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image" | grep -F "$repository@" | tail -n 1 ||
    fail "docker names no digest of $reference"
else
  infra/image/tools.sh buildah
  options=(--digestfile "$work/digest")
  if [ -n "$password" ]; then
    options+=(--authfile "$work/auth.json")
    buildah login --authfile "$work/auth.json" --username AWS --password-stdin "$registry" <<<"$password" >/dev/null ||
      fail "$registry refuses the token"
  fi
  [ -z "${REGISTRY_INSECURE:-}" ] || options+=(--tls-verify=false)
  buildah push --quiet "${options[@]}" "$image" "docker://$reference" >&2
  echo "$repository@$(cat "$work/digest")"
fi
