#!/usr/bin/env bash
# setup.sh PYTHON ENVIRONMENT REQUIREMENTS TITLE: an environment that holds exactly the hashed requirements.
set -euo pipefail
python=$1 env=$2 requirements=$3 title=$4

fail() { echo "setup: $*" >&2; exit 1; }
say() { echo "setup: $title: $*" >&2; }

command -v "$python" >/dev/null || fail "$python not found; install Python >= 3.11 or call make PYTHON=/path/to/python"
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>&1) ||
  fail "$python does not run: $(head -n 1 <<<"$version"); install Python >= 3.11 or call make PYTHON=/path/to/python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is Python $version, which is too old; install Python >= 3.11 or call make PYTHON=/path/to/python"

rm -f "$env/ready"
if [ ! -x "$env/bin/uv" ]; then
  say "creating $env"
  "$python" -m venv --clear "$env" || fail "cannot create $env; on Debian: apt-get install python3-venv; is the disk full?"
  "$env/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt ||
    fail "cannot install uv into $env (see above); is the package index reachable?"
fi
settings=$("$env/bin/python" infra/indexes.py) || fail "pip's configuration cannot be read (see above)"
eval "$settings"  # uv knows nothing of pip's
say "installing $(grep -c '==' "$requirements") packages"
"$env/bin/uv" pip sync ${UV_NO_INDEX:+--no-index} -q --python "$env/bin/python" --require-hashes requirements/bootstrap.txt "$requirements" ||
  fail "cannot install $requirements (see above); is the package index reachable? is the disk full?"

if [ "$env" = .venv ]; then
  "$env/bin/uv" pip install ${UV_NO_INDEX:+--no-index} -q --python "$env/bin/python" --no-deps --build-constraints requirements/build.txt -e . ||
    fail "cannot install the commands of this checkout (see above); is the package index reachable?"
  jars=$("$env/bin/python" -c 'import amazon_kclpy, pathlib; print(len(list((pathlib.Path(amazon_kclpy.__file__).parent / "jars").glob("*.jar"))))')
  [ "$jars" -ge 70 ] || fail "the KCL's jars are missing ($jars found); is Maven Central reachable? KCL_MVN_REPO_SEARCH_URL names a mirror"
  say "the KCL's $jars jars are there"
  if ! "$env/bin/python" -m consumer.kcl.java; then
    say "no java >= 17 found: installing one from a wheel"
    "$env/bin/uv" pip install ${UV_NO_INDEX:+--no-index} -q --python "$env/bin/python" --require-hashes -r requirements/java.txt ||
      fail "cannot install a Java runtime; install java >= 17, or set JAVA to one"
    "$env/bin/python" -m consumer.kcl.java || fail "no java >= 17; install one (Debian: openjdk-17-jre-headless) or set JAVA"
  fi
fi
touch "$env/ready"
say "ready"
