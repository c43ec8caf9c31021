"""The pipeline at work: leases and checkpoints from the lease table, and what a worker says of itself, or CloudWatch.

A worker is asked where CONSUMER_URL names one, as on the local stack; tasks of a deployment cannot be reached, and
their sums of each minute come from CloudWatch.
"""

import asyncio
import json
import time
from collections import defaultdict
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from producer.aws.stack import Stack
from producer.console.live import Events
from producer.console.minutes import Minutes
from producer.console.problems import problem
from producer.console.requests import Blocking

PERIOD = 1.0  # seconds between two looks at a worker
LEASES_SECONDS, MINUTES_SECONDS = 5.0, 30.0  # between two looks at the lease table, at CloudWatch
ANSWER_SECONDS = 3.0
PREFIX = "sensorstream_"
COUNTERS = (
    "alerts_sent",
    "archive_bytes",
    "archive_objects",
    "archive_records",
    "checkpoints",
    "daemon_restarts",
    "dead_letter_records",
    "readings_decoded",
    "readings_rejected",
    "records",
    "rows_written",
    "throttles",
)
"""Counters that are added up over their labels; `shard_records` is kept for each shard."""
KEPT = ("daemon_restarts", "throttles", "retries", "ownership_ended")
"""Counters that are also told by their labels, where they are not 0."""
CONSTANTS = {"TRIM_HORIZON": "start of the stream", "LATEST": "newest record", "SHARD_END": "shard ended"}


class Pipeline:
    """The handler of /api/pipeline."""

    def __init__(self, stack: Stack, worker: str | None, blocking: Blocking) -> None:
        self._worker = worker
        self._leases = Leases(stack)
        self._minutes = Minutes(stack)
        self._blocking = blocking

    async def live(self, request: web.Request) -> web.StreamResponse:
        """An event each second: `at` (ms), `shards`, `worker` or None, `minutes` or None, and `problems` by part."""
        events = await Events.open(request)
        known: dict[str, Any] = {"shards": {}, "minutes": None}
        problems: dict[str, Any] = {}
        due = {"leases": 0.0, "minutes": 0.0}
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
                while True:
                    if time.monotonic() >= due["leases"]:
                        due["leases"] = time.monotonic() + LEASES_SECONDS
                        known["shards"] = await self._part(problems, "leases", self._leases.read) or known["shards"]
                    if not self._worker and time.monotonic() >= due["minutes"]:
                        due["minutes"] = time.monotonic() + MINUTES_SECONDS
                        known["minutes"] = await self._part(problems, "minutes", self._minutes.read)
                    worker = await self._ask(http, problems) if self._worker else None
                    await events.send("pipeline", {**known, "at": _now(), "worker": worker, "problems": problems})
                    await asyncio.sleep(PERIOD if self._worker else LEASES_SECONDS)
        except ConnectionResetError:
            return web.Response()

    async def _part(self, problems: dict[str, Any], name: str, read: Any) -> Any:
        try:
            found = await self._blocking(read)
        except Exception as error:
            if (trouble := problem(error)) is None:
                raise
            problems[name] = trouble
            return None
        problems.pop(name, None)
        return found

    async def _ask(self, http: aiohttp.ClientSession, problems: dict[str, Any]) -> dict[str, Any] | None:
        """What the worker says; None while it does not answer."""
        try:
            async with http.get(f"{self._worker}/shards") as answer:
                state = await answer.json()
            async with http.get(f"{self._worker}/metrics") as answer:
                metrics = read_metrics(await answer.text())
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            problems["worker"] = {"detail": f"{self._worker} does not answer: {error or 'no answer in time'}"}
            return None
        problems.pop("worker", None)
        names = ("worker", "version", "healthy", "why", "shards")
        return {**{name: state[name] for name in names}, **metrics}


class Leases:
    """Owners and checkpoints, by the KCL's lease table."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.session.client("dynamodb")
        self._table = f"{stack.name}-consumer"

    def read(self) -> dict[str, dict[str, str | None]]:
        """Of each shard `owner`, and `checkpoint`, a sequence number or words."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, FilterExpression="attribute_exists(checkpoint)"
        )
        return {
            row["leaseKey"]["S"]: {
                "owner": row.get("leaseOwner", {}).get("S"),
                "checkpoint": CONSTANTS.get(row["checkpoint"]["S"], row["checkpoint"]["S"]),
            }
            for page in pages
            for row in page["Items"]
        }


def read_metrics(text: str) -> dict[str, Any]:
    """COUNTERS in sum, KEPT by labels, gauges and the records of each shard, from the text of /metrics."""
    sums: dict[str, float] = dict.fromkeys(COUNTERS, 0.0)
    labelled: dict[str, dict[str, float]] = defaultdict(dict)
    gauges: dict[str, float] = {}
    records: dict[str, float] = {}
    ages: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX).removesuffix("_total")
            if name in COUNTERS:
                sums[name] += sample.value
            if name in KEPT and sample.value:
                labelled[name][" ".join(sample.labels.values())] = sample.value
            if name == "shard_records":
                records[sample.labels["shard"]] = sample.value
            elif name == "archive_object_age_seconds":
                ages[sample.labels["shard"]] = sample.value
            elif name in ("devices", "daemon_up", "daemon_resident_memory_bytes", "alerts_waiting"):
                gauges[name] = sample.value
    return {"counters": sums, "labelled": labelled, "gauges": gauges, "shardRecords": records, "openSeconds": ages}


def _now() -> int:
    return time.time_ns() // 1_000_000
