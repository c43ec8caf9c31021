"""`make watch`: a Prometheus with this checkout's rules beside the running local stack, until Ctrl-C."""

import json
import shlex
import threading
from collections.abc import Mapping
from pathlib import Path

from infra.local.emulator import require_free
from infra.local.options import port
from infra.local.process import LOCAL, LocalError
from infra.local.prometheus import Prometheus, configuration
from infra.local.stack import env_file

PORT = 9090


def main(given: Mapping[str, str]) -> int:
    """Exit code 0 after Ctrl-C. LocalError when no local stack runs, or Prometheus ends unexpectedly."""
    number = port(given, "PROMETHEUS_PORT", PORT)
    url = consumer_url(env_file())
    require_free(number, "PROMETHEUS_PORT")
    folder = LOCAL / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.json"  # which is YAML, too
    config.write_text(json.dumps(configuration(url.removeprefix("http://"), seconds=5)))
    with Prometheus(config, folder / "data", LOCAL / "log/prometheus.log", port=number) as prometheus:
        print(f"Prometheus with the rules of config/prometheus: {prometheus.url}/alerts")
        print(f"  it asks {url}/metrics every 5 s; what it saw before is kept in {folder}")
        print(f"  a first question: {prometheus.url}/graph?g0.expr=sensorstream_owned_shards")
        print("Ctrl-C stops it; the local stack goes on.", flush=True)
        try:
            while prometheus.exit_code() is None:
                threading.Event().wait(1)
        except KeyboardInterrupt:
            return 0
        raise LocalError(f"Prometheus ended with code {prometheus.exit_code()}; see {LOCAL / 'log/prometheus.log'}")


def consumer_url(env: Path) -> str:
    """Where the running local stack's consumer is, by the file that it writes; LocalError when there is none."""
    try:
        lines = env.read_text().splitlines()
    except FileNotFoundError:
        raise LocalError(
            f"no local stack runs here (there is no {env}); start one in another terminal: make up"
        ) from None
    for line in lines:
        name, _, value = line.removeprefix("export ").partition("=")
        if name == "CONSUMER_URL":
            return shlex.split(value)[0]
    raise LocalError(f"{env} names no CONSUMER_URL; start the local stack again: make up")
