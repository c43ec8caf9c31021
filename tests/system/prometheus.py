"""A real Prometheus with the rules of config/prometheus, in fast motion, and what can be asked of it.

Its configuration and rules are the committed ones but for time: every duration, and every 60 in an expression (plain
times are written as multiples of it), is divided by FASTER. So an alert `for: 5m` takes ten seconds, and a worker
with archive objects of two seconds looks like one with archive objects of a minute.
"""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local import prometheus as local
from tests.rules import CONFIG, load

FASTER = 30
_MILLIS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?<![\w.])(\d+)(ms|[smhd])(?!\w)")


def faster(text: str) -> str:
    """The same rules or configuration in fast motion."""
    text = _DURATION.sub(lambda found: f"{int(found[1]) * _MILLIS[found[2]] // FASTER}ms", text)
    return re.sub(r"(?<![\w.])60(?!\w)", f"{60 / FASTER:g}", text)


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, and its values in the order of time (one, for an instant)."""

    labels: dict[str, str]
    values: list[float]


class Prometheus(local.Prometheus):
    """`with Prometheus(folder, {job: url of a consumer}) as prometheus`; then it scrapes, and evaluates the rules."""

    def __init__(self, folder: Path, jobs: dict[str, str]) -> None:
        rules = [self._copy(path, folder) for path in sorted((CONFIG / "rules").glob("*.yml"))]
        config = folder / "prometheus.json"
        config.write_text(faster(json.dumps(_config(jobs, rules))))
        lookback = faster("--query.lookback-delta=5m")
        super().__init__(config, folder / "data", folder / "prometheus.log", lookback)

    @staticmethod
    def _copy(path: Path, folder: Path) -> str:
        (folder / path.name).write_text(faster(path.read_text()))
        return path.name

    def query(self, expression: str) -> list[Series]:
        """What an expression gives now."""
        found = self._get("query", query=expression)["result"]
        return [Series(each["metric"], [float(each["value"][1])]) for each in found]

    def history(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """What it gave from `start` to `end`, times in seconds since the epoch."""
        found = self._get("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [Series(each["metric"], [float(value) for _, value in each["values"]]) for each in found]

    def alerts(self, state: str = "firing") -> dict[str, list[dict[str, str]]]:
        """The alerts in a state, without their prefix: the labels of each."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if alert["state"] == state:
                name = alert["labels"]["alertname"].removeprefix("Sensorstream")
                found.setdefault(name, []).append(alert["labels"])
        return found

    def problems(self) -> list[str]:
        """Rules that could not be evaluated, with the reason."""
        groups = self._get("rules")["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for g in groups for rule in g["rules"] if rule.get("lastError")]

    def _get(self, path: str, **parameters: object) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - own address
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {json.loads(error.read())['error']}") from error


def _config(jobs: dict[str, str], rules: list[str]) -> dict[str, Any]:
    """config/prometheus/prometheus-local.yml, with these targets."""
    config: dict[str, Any] = load(CONFIG / "prometheus-local.yml")
    (scrape,) = config["scrape_configs"]
    targets = {job: url.removeprefix("http://") for job, url in jobs.items()}
    config["rule_files"] = rules
    config["scrape_configs"] = [
        scrape | {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
    ]
    return config
