"""The dashboard for who pays and plans: what a reading costs, and how much more would fit."""

from grafana_foundation_sdk.builders import dashboard

from config.grafana.frame import frame
from config.grafana.parts import (
    BLUE,
    GREEN,
    ORANGE,
    PER_SECOND,
    PURPLE,
    RED,
    SMOOTH,
    WORKER,
    YELLOW,
    Query,
    line_panel,
    most,
    rate,
    smooth,
    stat_panel,
)
from infra.docs.cost import message, row_month, shard_hour
from infra.prices import HOURS, PRICES

FIELDS = (
    ("vcpu", "vCPU a task", 0.5, "What a task of the service has."),
    ("gb", "GB a task", 1, "What a task of the service has."),
    ("vcpu_hour", "$ a vCPU hour", PRICES["fargate_arm_vcpu_hour"], "Fargate."),
    ("gb_hour", "$ a GB hour", PRICES["fargate_arm_gb_hour"], "Fargate."),
    ("shard_hour", "$ a shard hour", shard_hour(), "Kinesis: a provisioned shard that keeps its records for 48 hours."),
    ("million_puts", "$ a million records", PRICES["kinesis_million_puts"], "Kinesis, payload units of 25 KB."),
    ("million_messages", "$ a million messages", message(), "IoT Core: message, two rules, actions. 0 without it."),
    (
        "device_month",
        "$ a device month",
        PRICES["iot_million_connection_minutes"] * HOURS * 60 / 1e6,
        "IoT Core: a device that is always connected. 0 without IoT Core.",
    ),
    (
        "million_rows",
        "$ a million rows",
        PRICES["dynamodb_million_writes"] + row_month(),
        "DynamoDB on demand: the write, a month's keeping and backup.",
    ),
    ("thousand_puts", "$ a thousand PUTs", PRICES["s3_million_puts"] / 1000, "S3."),
    ("gb_month", "$ a GB month", PRICES["s3_gb_month"], "S3, of what a month adds to the archive."),
    ("fixed", "$ fixed a month", 80, "Endpoints of the network, logs, alarms."),
)
"""Variables that begin with the prices of infra/prices.json, of one region at one time: people put in their own."""

MONTH_MILLIONS = HOURS * 3600 / 1e6  # what one a second makes in a month, in millions


def items(window: str) -> dict[str, str]:
    """Dollars a month by what they are paid for, at the load of the window."""

    def load(metric: str, over: str = window) -> str:
        return f"sum(rate({metric}{{{WORKER}}}[{over}]))"

    slow = SMOOTH if window == "$__rate_interval" else window  # what happens once an archive object

    records, million = load("sensorstream_records_total"), f"{MONTH_MILLIONS:g}"
    compute = "($vcpu * $vcpu_hour + $gb * $gb_hour)"
    shards = f"sum(sensorstream_owned_shards{{{WORKER}}})"
    return {
        "compute": f"count(sensorstream_build_info{{{WORKER}}}) * {compute} * {HOURS}",
        "stream": f"{shards} * $shard_hour * {HOURS} + {records} * {million} * $million_puts",
        "intake": f"{records} * {million} * $million_messages + sum(sensorstream_devices{{{WORKER}}}) * $device_month",
        "table": f"{load('sensorstream_rows_written_total')} * {million} * $million_rows",
        "archive": f"{load('sensorstream_archive_objects_total', slow)} * {million} * 1000 * $thousand_puts"
        f" + {load('sensorstream_archive_bytes_total', slow)} * {million} / 1000 * $gb_month",
        "fixed": "vector($fixed)",
    }


COLOURS = {"compute": BLUE, "stream": ORANGE, "intake": YELLOW, "table": PURPLE, "archive": GREEN, "fixed": "#8e8e8e"}
RANGE = items("$__range")
TOTAL = " + ".join(f"({expr})" for expr in RANGE.values())
READINGS = rate("sensorstream_readings_decoded_total", WORKER)
CPU = f"rate(process_cpu_seconds_total{{{WORKER}}}[$__rate_interval])"
DAEMON_CPU = f"rate(sensorstream_daemon_cpu_seconds_total{{{WORKER}}}[$__rate_interval])"
WORKER_CPU = f"sum by (instance) ({CPU} + {DAEMON_CPU}) / $vcpu"
MEMORY = f"process_resident_memory_bytes{{{WORKER}}} + sensorstream_daemon_resident_memory_bytes{{{WORKER}}}"
SHARD_RECORDS = f"{rate('sensorstream_shard_records_total', WORKER, 'shard')} / 1000"
SHARD_BYTES = f"{rate('sensorstream_shard_bytes_total', WORKER, 'shard')} / 1e6"
SHARD_USED = f'{SHARD_RECORDS} or label_replace({SHARD_BYTES}, "of", "bytes", "", "")'
PER_CPU = f"{READINGS} / sum({CPU} + {DAEMON_CPU})"

OVERVIEW = [
    stat_panel(
        "Per month",
        "What this would cost in a month at the average load of the time shown, with the prices above: list "
        "prices, to be replaced by your own. The panel below tells for what.",
        None,
        "currencyUSD",
        Query(TOTAL),
        decimals=0,
        course=False,
    ),
    stat_panel(
        "Per million readings",
        "The same, for each million of readings. It falls as the load grows.",
        None,
        "currencyUSD",
        Query(
            f"({TOTAL}) / ({MONTH_MILLIONS:g} * sum(rate(sensorstream_readings_decoded_total{{{WORKER}}}[$__range])))"
        ),
        decimals=2,
        course=False,
    ),
    stat_panel(
        "Readings per vCPU second",
        "Readings for each second of CPU that service and daemon used. Low at low load, since the daemon's polling "
        "costs the same; compare it at equal load, before and after a change.",
        None,
        "short",
        Query(PER_CPU),
    ),
    stat_panel(
        "Headroom",
        "How many times the present load would fit: the nearest of what the fullest shard takes in and the "
        "busiest worker's CPU. Below 2: add shards or tasks before a peak does.",
        "LagGrowing",
        "suffix: x",
        Query(f"1 / max({SHARD_USED} or {WORKER_CPU})"),
        steps=[(0, RED), (1.25, YELLOW), (2, GREEN)],
        decimals=1,
    ),
    stat_panel(
        "Fullest shard",
        "Of the 1,000 records or 1 MB a second that a shard takes in: whichever is nearer.",
        "LagGrowing",
        "percentunit",
        Query(f"max({SHARD_USED})"),
        steps=[(0.5, YELLOW), (0.8, RED)],
        decimals=0,
    ),
    stat_panel(
        "Busiest worker",
        "CPU that its service and daemon use, of what a task has (field above).",
        "LagGrowing",
        "percentunit",
        Query(f"max({WORKER_CPU})"),
        steps=[(0.6, YELLOW), (0.85, RED)],
        decimals=0,
    ),
]
MONEY = [
    line_panel(
        "Cost per month by what it is paid for",
        "At the load of each moment. intake and table grow with the readings, compute and stream in steps, fixed "
        "not at all. Not in it: what readers of table and archive cost, and data older than a month.",
        None,
        "currencyUSD",
        *(Query(expr, name, COLOURS[name]) for name, expr in items("$__rate_interval").items()),
        width=12,
        stacked=True,
    ),
    line_panel(
        "Stream used, by shard",
        "The ten fullest, of the 1,000 records and the 1 MB a second that a shard takes in. Above the line: more "
        "shards. An aggregate of the KPL is one record in the stream, but counts here by what is in it.",
        "LagGrowing",
        "percentunit",
        Query(most(SHARD_RECORDS), "{{shard}}: records"),
        Query(most(SHARD_BYTES), "{{shard}}: bytes"),
        width=12,
        table=True,
        limit=0.8,
        top=1,
    ),
]
MACHINES = [
    line_panel(
        "Readings per vCPU second",
        "Over time. A step down at equal load came with a change of version or settings.",
        None,
        "short",
        Query(PER_CPU, "readings", BLUE),
        width=6,
    ),
    line_panel(
        "CPU used, by worker",
        "Service and daemon, of what a task has. Above the line: more tasks.",
        "LagGrowing",
        "percentunit",
        Query(WORKER_CPU, "{{instance}}"),
        width=6,
        limit=0.85,
        top=1,
    ),
    line_panel(
        "Memory used, by worker",
        "Resident memory of service and daemon, of what a task has. Above the line: larger tasks or less JAVA_HEAP_MB.",
        "DaemonRestarts",
        "percentunit",
        Query(f"sum by (instance) ({MEMORY}) / ($gb * 1e9)", "{{instance}}"),
        width=6,
        limit=0.9,
        top=1,
    ),
    line_panel(
        "Memory for each reading a second",
        "Resident memory of all workers, by the readings per second that they serve. It falls as the load grows, "
        "since memory is bounded.",
        None,
        "bytes",
        Query(f"sum({MEMORY}) / {READINGS}", "memory", BLUE),
        width=6,
    ),
]
VOLUMES = [
    line_panel(
        "Table writes",
        "Write units per second: a row of up to 1 KB is one. Provisioned capacity must be above it.",
        "TableThrottled",
        PER_SECOND,
        Query(rate("sensorstream_rows_written_total", WORKER), "units", PURPLE),
    ),
    line_panel(
        "Archive requests",
        "Archive objects written per second, a PUT each; those with dead letters take a second one. Too many: raise "
        "ARCHIVE_MAX_SECONDS or have fewer shards.",
        None,
        PER_SECOND,
        Query(smooth("sensorstream_archive_objects_total", WORKER), "PUTs", GREEN),
    ),
    line_panel(
        "Archive growth",
        "Compressed bytes per day at the load of each moment; what is kept grows by it.",
        None,
        "decbytes",
        Query(f"86400 * {smooth('sensorstream_archive_bytes_total', WORKER)}", "a day", GREEN),
    ),
]


def cost() -> dashboard.Dashboard:
    """Money, machines, volumes."""
    return frame(
        "Cost and capacity",
        "What it costs, and how much more it could take. Prices are fields at the top.",
        [("", OVERVIEW), ("", MONEY), ("Machines", MACHINES), ("Volumes", VOLUMES)],
        since="now-24h",
        fields=[(name, label, f"{value:.6g}", text) for name, label, value, text in FIELDS],
    )
