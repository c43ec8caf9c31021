"""The dashboard for who runs the service: shards, stages, archive objects, workers and their processes."""

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

# Red as soon as the daemon was down for one scrape, or was started anew between two.
RUNNING = (
    f"min by (instance) (min_over_time(sensorstream_daemon_up{{{WORKER}}}[$__rate_interval]))"
    f" * on (instance) (sum by (instance) (increase(sensorstream_daemon_restarts_total{{{WORKER}}}[$__rate_interval]))"
    " < bool 0.5)"
)

OVERVIEW = [
    stat_panel(
        "Oldest unwritten",
        "Age of the oldest record that is not durable: in hand, in an open archive object, or still in the stream. Up "
        "to the "
        "archive object's window and a little more, when all is well; it grows while the stream cannot be read.",
        "LagGrowing",
        "s",
        Query(f"max({LAG})"),
        steps=[(180, YELLOW), (600, RED)],
        decimals=0,
    ),
    stat_panel(
        "Workers",
        "Containers that answer Prometheus. Fewer than wanted: a task does not start.",
        "ScrapeDown",
        "short",
        Query(f"sum(up{{{WORKER}}})"),
        decimals=0,
    ),
    stat_panel(
        "Shards served",
        "Shards in conversation with a worker, and shards not yet read to their end. They are equal but for the "
        "seconds of a hand-over.",
        "ShardWithoutWorker",
        "short",
        Query(f"sum(sensorstream_owned_shards{{{WORKER}}})", "served"),
        Query(OPEN, "open"),
        decimals=0,
    ),
    stat_panel(
        "Shards without a worker",
        "Shards whose lease no worker holds or renews. For longer than a minute or two: look at the workers' health.",
        "ShardWithoutWorker",
        "short",
        Query(UNOWNED),
        steps=[(1, RED)],
        decimals=0,
    ),
    stat_panel(
        "Longest not read",
        "Time since the last successful read of a shard, an empty one too. Seconds, when all is well; minutes: the "
        "stream cannot be read, and the panel Reads that fail tells why.",
        "StreamUnreadable",
        "s",
        Query(f"max(sensorstream_read_age_seconds{{{SHARD}}})"),
        steps=[(30, YELLOW), (120, RED)],
        decimals=0,
    ),
    stat_panel(
        "Daemon restarts",
        "Starts of the KCL daemon after the first, in the time shown. One now and then heals itself in seconds.",
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
        "The KCL spreads the shards over the workers. One without any while others have several: there are more "
        "workers than shards, or it cannot reach the lease table.",
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
        "Red where a worker's KCL daemon did not run or was started anew: it starts again in seconds. Often red: see "
        "why below.",
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
        "Cores used, summed over the workers: the service (Python) and the daemon (Java). Near what the tasks have: "
        "more of them, as long as they are fewer than shards.",
        "LagGrowing",
        "short",
        Query(rate("process_cpu_seconds_total", WORKER), "service", BLUE),
        Query(rate("sensorstream_daemon_cpu_seconds_total", WORKER), "daemon", ORANGE),
        stacked=True,
    ),
    line_panel(
        "Memory",
        "Resident memory of the largest worker's service and daemon. It is bounded: growth over days is a defect. "
        "The task's memory must hold both.",
        "DaemonRestarts",
        "bytes",
        Query(f"max(process_resident_memory_bytes{{{WORKER}}})", "service", BLUE),
        Query(f"max(sensorstream_daemon_resident_memory_bytes{{{WORKER}}})", "daemon", ORANGE),
        stacked=True,
    ),
    line_panel(
        "Daemon restarts by reason",
        "Starts of the KCL daemon after the first. The table in the runbook tells what each reason means.",
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
        "How the consumer does its work, shard by shard and worker by worker.",
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
