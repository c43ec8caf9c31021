"""The dashboard for operators of the service: shards, stages, archive objects, workers and their processes."""

from grafana_foundation_sdk.builders import dashboard

from config.grafana.frame import Panel, frame
from config.grafana.parts import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    SHARD,
    WORKER,
    YELLOW,
    Query,
    line_panel,
    rate,
    stat_panel,
    state_panel,
)
from config.grafana.work import LAG, OBJECTS, SHARDS, STAGES

OPEN = f'max(sensorstream_leases{{{WORKER},state="open"}})'
UNOWNED = f'max(sensorstream_leases{{{WORKER},state="unowned"}})'

# Red as soon as the daemon was down at one scrape, or was restarted between two.
RUNNING = (
    f"min by (instance) (min_over_time(sensorstream_daemon_up{{{WORKER}}}[$__rate_interval]))"
    f" * on (instance) (sum by (instance) (increase(sensorstream_daemon_restarts_total{{{WORKER}}}[$__rate_interval]))"
    " < bool 0.5)"
)

OVERVIEW = [
    stat_panel(
        "Oldest unwritten",
        "Age of the oldest record that is not durable: in processing, in an open archive object, or still in the "
        "stream. Normal: up to a little more than the archive object's window. It grows while the stream cannot be "
        "read.",
        "LagGrowing",
        "s",
        Query(f"max({LAG})"),
        steps=[(180, YELLOW), (600, RED)],
        decimals=0,
    ),
    stat_panel(
        "Workers",
        "Containers that answer Prometheus. Fewer than the desired number: a task does not start.",
        "ScrapeDown",
        "short",
        Query(f"sum(up{{{WORKER}}})"),
        decimals=0,
    ),
    stat_panel(
        "Shards served",
        "Shards that a worker reads, and shards not yet read to their end (open). They are equal, except for seconds "
        "during a hand-over.",
        "ShardWithoutWorker",
        "short",
        Query(f"sum(sensorstream_owned_shards{{{WORKER}}})", "served"),
        Query(OPEN, "open"),
        decimals=0,
    ),
    stat_panel(
        "Shards without a worker",
        "Shards whose lease no worker holds or renews. Longer than two minutes: check the workers' health.",
        "ShardWithoutWorker",
        "short",
        Query(UNOWNED),
        steps=[(1, RED)],
        decimals=0,
    ),
    stat_panel(
        "Longest not read",
        "Longest time since the last successful read of a shard, even an empty one. Normal: seconds. Minutes: the "
        "stream cannot be read; the panel Reads that fail shows the reason.",
        "StreamUnreadable",
        "s",
        Query(f"max(sensorstream_read_age_seconds{{{SHARD}}})"),
        steps=[(30, YELLOW), (120, RED)],
        decimals=0,
    ),
    stat_panel(
        "Daemon restarts",
        "Starts of the KCL daemon after the first, in the selected time. A single restart takes seconds and needs no "
        "action.",
        "DaemonRestarts",
        "short",
        Query(f"sum(increase(sensorstream_daemon_restarts_total{{{WORKER}}}[$__range])) or vector(0)"),
        steps=[(1, YELLOW), (6, RED)],
        decimals=0,
        course=False,
    ),
]

WORKERS: list[Panel] = [
    line_panel(
        "Shards by worker",
        "The KCL distributes the shards over the workers. A worker without shards: there are more workers than "
        "shards, or it cannot reach the lease table.",
        "ShardWithoutWorker",
        "short",
        Query(f"sum by (instance) (sensorstream_owned_shards{{{WORKER}}})", "{{instance}}"),
        stacked=True,
        table=True,
    ),
    line_panel(
        "Leases",
        "Shards not yet read to their end (open), and those whose lease no worker holds or renews (without a worker).",
        "A worker is lost",
        "short",
        Query(OPEN, "open", BLUE),
        Query(UNOWNED, "without a worker", RED),
    ),
    state_panel(
        "Daemon running",
        "Red where a worker's KCL daemon was down or restarted, which takes seconds. Often red: see the reasons below.",
        "DaemonRestarts",
        Query(RUNNING, "{{instance}}"),
        steps=[(0, RED), (1, GREEN)],
        width=8,
        height=8,
    ),
]
PROCESSES = [
    line_panel(
        "CPU",
        "Cores used by all workers: the service (Python) and the daemon (Java). Near the tasks' limit: add tasks, up "
        "to the number of shards.",
        "LagGrowing",
        "short",
        Query(rate("process_cpu_seconds_total", WORKER), "service", BLUE),
        Query(rate("sensorstream_daemon_cpu_seconds_total", WORKER), "daemon", ORANGE),
        stacked=True,
    ),
    line_panel(
        "Memory",
        "Resident memory of service and daemon, each the maximum over the workers. It is bounded: growth over days is "
        "a defect. The task's memory must be larger than their sum.",
        "DaemonRestarts",
        "bytes",
        Query(f"max(process_resident_memory_bytes{{{WORKER}}})", "service", BLUE),
        Query(f"max(sensorstream_daemon_resident_memory_bytes{{{WORKER}}})", "daemon", ORANGE),
        stacked=True,
    ),
    line_panel(
        "Daemon restarts by reason",
        "Starts of the KCL daemon after the first. The table in the runbook explains each reason.",
        "DaemonRestarts",
        "short",
        Query(
            f"sum by (reason) (increase(sensorstream_daemon_restarts_total{{{WORKER}}}[$__rate_interval])) > 0",
            "{{reason}}",
        ),
        bars=True,
        quiet="no restarts",
    ),
]


def service() -> dashboard.Dashboard:
    """Lag, stages, archive objects, daemons, processes."""
    return frame(
        "Service",
        "The consumer's work by shard and by worker.",
        [
            ("", OVERVIEW),
            ("Shards", SHARDS),
            ("Stages and sinks", STAGES),
            ("Archive objects", OBJECTS),
            ("Workers", WORKERS),
            ("Processes", PROCESSES),
        ],
        since="now-1h",
        shards=True,
    )
