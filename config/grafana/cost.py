"""The dashboard for cost and capacity planning: cost per reading, and headroom."""

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
    highest,
    line_panel,
    rate,
    smooth,
    stat_panel,
)
from producer.plan.prices import HOURS, PRICES

FIELDS = (
    ("vcpu", "vCPU per task", 0.5, "CPU of a task of the service."),
    ("gb", "GB per task", 1, "Memory of a task of the service."),
    ("vcpu_hour", "$ per vCPU hour", PRICES["fargate_arm_vcpu_hour"], "Fargate."),
    ("gb_hour", "$ per GB hour", PRICES["fargate_arm_gb_hour"], "Fargate."),
    (
        "shard_hour",
        "$ per shard hour",
        PRICES["kinesis_shard_hour"] + PRICES["kinesis_retention_shard_hour"],
        "Kinesis: a provisioned shard, retention of 48 hours.",
    ),
    ("million_puts", "$ per million records", PRICES["kinesis_million_puts"], "Kinesis, payload units of 25 KB."),
    (
        "million_messages",
        "$ per million messages",
        PRICES["iot_million_messages"] + 2 * (PRICES["iot_million_rules"] + PRICES["iot_million_actions"]),
        "IoT Core: message, two rules, actions. 0 without it.",
    ),
    (
        "device_month",
        "$ per device month",
        PRICES["iot_million_connection_minutes"] * HOURS * 60 / 1e6,
        "IoT Core: a device that is always connected. 0 without IoT Core.",
    ),
    (
        "million_rows",
        "$ per million rows",
        PRICES["dynamodb_million_writes"] + 0.23 * (PRICES["dynamodb_gb_month"] + PRICES["dynamodb_backup_gb_month"]),
        "DynamoDB on demand: the write, storage and backup for a month.",
    ),
    ("thousand_puts", "$ per thousand PUTs", PRICES["s3_million_puts"] / 1000, "S3."),
    ("gb_month", "$ per GB month", PRICES["s3_gb_month"], "S3, for the data of one month."),
    ("fixed", "$ fixed per month", 80, "Endpoints of the network, logs, alarms."),
)
"""Variables; their defaults are the prices of producer/plan/prices.json, to be replaced by users."""

MONTH_MILLIONS = HOURS * 3600 / 1e6  # millions per month at one per second


def items(window: str) -> dict[str, str]:
    """Dollars per month by cost item, at the load of the window."""

    def load(metric: str, over: str = window) -> str:
        return f"sum(rate({metric}{{{WORKER}}}[{over}]))"

    slow = SMOOTH if window == "$__rate_interval" else window  # for what happens once per archive object

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
        "Cost of a month at the average load of the selected time, with the prices above: list prices, to be replaced "
        "by your own. The panel below shows the items.",
        None,
        "currencyUSD",
        Query(TOTAL),
        decimals=0,
        course=False,
    ),
    stat_panel(
        "Per million readings",
        "The same per million readings. It falls as the load grows.",
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
        "Readings per second of CPU time of service and daemon. Low at low load, since polling costs the same at any "
        "load; compare it at equal load, before and after a change.",
        None,
        "short",
        Query(PER_CPU),
    ),
    stat_panel(
        "Headroom",
        "The factor by which the load could grow until the first limit is reached: the fullest shard or the busiest "
        "worker's CPU. Below 2: add shards or tasks before the next peak.",
        "LagGrowing",
        "suffix: x",
        Query(f"1 / max({SHARD_USED} or {WORKER_CPU})"),
        steps=[(0, RED), (1.25, YELLOW), (2, GREEN)],
        decimals=1,
    ),
    stat_panel(
        "Fullest shard",
        "Use of the limits of a shard, 1,000 records and 1 MB per second: the higher one.",
        "LagGrowing",
        "percentunit",
        Query(f"max({SHARD_USED})"),
        steps=[(0.5, YELLOW), (0.8, RED)],
        decimals=0,
    ),
    stat_panel(
        "Busiest worker",
        "Share of a task's CPU (field above) that service and daemon use.",
        "LagGrowing",
        "percentunit",
        Query(f"max({WORKER_CPU})"),
        steps=[(0.6, YELLOW), (0.85, RED)],
        decimals=0,
    ),
]
MONEY = [
    line_panel(
        "Cost per month by item",
        "At the load of each moment. intake and table grow with the readings, compute and stream in steps; fixed is "
        "constant. Not included: queries of table and archive, and data older than a month.",
        None,
        "currencyUSD",
        *(Query(expr, name, COLOURS[name]) for name, expr in items("$__rate_interval").items()),
        width=12,
        stacked=True,
    ),
    line_panel(
        "Stream used, by shard",
        "Use of the limits of a shard, 1,000 records and 1 MB per second; the ten highest. Above the line: add shards. "
        "A KPL aggregate is one record for the limit, but its sub-records are counted here.",
        "LagGrowing",
        "percentunit",
        Query(highest(SHARD_RECORDS), "{{shard}}: records"),
        Query(highest(SHARD_BYTES), "{{shard}}: bytes"),
        width=12,
        table=True,
        limit=0.8,
        top=1,
    ),
]
MACHINES = [
    line_panel(
        "Readings per vCPU second",
        "Over time. A sudden drop at equal load comes from a change of version or settings.",
        None,
        "short",
        Query(PER_CPU, "readings", BLUE),
        width=6,
    ),
    line_panel(
        "CPU used, by worker",
        "Share of a task's CPU that service and daemon use. Above the line: add tasks.",
        "LagGrowing",
        "percentunit",
        Query(WORKER_CPU, "{{instance}}"),
        width=6,
        limit=0.85,
        top=1,
    ),
    line_panel(
        "Memory used, by worker",
        "Resident memory of service and daemon as a share of the task's. Above the line: larger tasks, or a lower "
        "JAVA_HEAP_MB.",
        "DaemonRestarts",
        "percentunit",
        Query(f"sum by (instance) ({MEMORY}) / ($gb * 1e9)", "{{instance}}"),
        width=6,
        limit=0.9,
        top=1,
    ),
    line_panel(
        "Memory per reading per second",
        "Resident memory of all workers divided by their readings per second. It falls as the load grows, since memory "
        "is bounded.",
        None,
        "bytes",
        Query(f"sum({MEMORY}) / {READINGS}", "memory", BLUE),
        width=6,
    ),
]
VOLUMES = [
    line_panel(
        "Table writes",
        "Write units per second: one per row of up to 1 KB. Provisioned capacity must be higher.",
        "TableThrottled",
        PER_SECOND,
        Query(rate("sensorstream_rows_written_total", WORKER), "units", PURPLE),
    ),
    line_panel(
        "Archive requests",
        "Archive objects stored per second, one PUT each; those with dead letters take a second one. Too many: raise "
        "ARCHIVE_MAX_SECONDS or use fewer shards.",
        None,
        PER_SECOND,
        Query(smooth("sensorstream_archive_objects_total", WORKER), "PUTs", GREEN),
    ),
    line_panel(
        "Archive growth",
        "Compressed bytes per day that are added to the archive, at the load of each moment.",
        None,
        "decbytes",
        Query(f"86400 * {smooth('sensorstream_archive_bytes_total', WORKER)}", "per day", GREEN),
    ),
]


def cost() -> dashboard.Dashboard:
    """Money, machines, volumes."""
    return frame(
        "Cost and capacity",
        "Cost per month and per reading, and headroom. Prices are fields at the top.",
        [("", OVERVIEW), ("", MONEY), ("Machines", MACHINES), ("Volumes", VOLUMES)],
        since="now-24h",
        fields=[(name, label, f"{value:.6g}", text) for name, label, value, text in FIELDS],
    )
