"""Panels of the dashboard Service that follow the records: shards, stages and sinks, archive objects."""

from config.grafana.parts import (
    BLUE,
    GREEN,
    PER_SECOND,
    RED,
    SHARD,
    WORKER,
    Query,
    highest,
    line_panel,
    quantile,
    rate,
    smooth,
)

LAG = f"sensorstream_lag_seconds{{{SHARD}}}"
AGE = f"sensorstream_checkpoint_age_seconds{{{SHARD}}}"
LIMIT = f"max(sensorstream_archive_max_seconds{{{WORKER}}})"
STAGE = "sensorstream_stage_seconds"

SHARDS = [
    line_panel(
        "Oldest record not written, by shard",
        "The ten highest. Normal: a sawtooth up to the archive object's window, since younger records wait in the open "
        "archive object. Rising: the stream cannot be read, or records cannot be written. Rising for one shard only: "
        "it gets too many records, perhaps from one device.",
        "LagGrowing",
        "s",
        Query(highest(f"max by (shard) ({LAG})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Age of the oldest record not checkpointed",
        "Of the records that have been read; the ten highest. Normal: a sawtooth up to the archive object's window. "
        "Rising without drops: nothing is checkpointed; see retries and throttles below.",
        "CheckpointStale",
        "s",
        Query(highest(f"max by (shard) ({AGE})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Records by shard",
        "Records processed per second; the ten highest. A shard accepts at most 1,000 per second. Very different "
        "values: the partition keys are distributed unevenly.",
        "LagGrowing",
        PER_SECOND,
        Query(highest(rate("sensorstream_shard_records_total", SHARD, "shard")), "{{shard}}"),
        table=True,
    ),
    line_panel(
        "Time since the last read, by shard",
        "The ten highest; empty reads count. Normal: seconds, also for a shard without records.",
        "StreamUnreadable",
        "s",
        Query(highest(f"max by (shard) (sensorstream_read_age_seconds{{{SHARD}}})"), "{{shard}}"),
        width=12,
        limit=120,
        table=True,
    ),
    line_panel(
        "Reads that fail",
        "Shards that cannot be read, by the reason in the daemon's log. The table in the runbook says what to do.",
        "StreamUnreadable",
        "short",
        Query(f"sum by (reason) (sensorstream_reads_failing{{{WORKER}}}) > 0", "{{reason}}"),
        width=12,
        bars=True,
        quiet="every shard is read",
    ),
]
STAGES = [
    line_panel(
        "Time of a batch by stage, p50",
        "Half of the batches take less. decode: CPU of the service. rows: writes to the table. archive: compression, "
        "and for some batches the upload of an archive object.",
        "LagGrowing",
        "s",
        Query(quantile(0.5, STAGE, WORKER, "stage"), "{{stage}}"),
    ),
    line_panel(
        "Time of a batch by stage, p99",
        "99 % of the batches take less. Seconds for rows: the table is throttled or slow. Seconds for archive: S3 is "
        "slow, or the archive objects are large.",
        "TableThrottled",
        "s",
        Query(quantile(0.99, STAGE, WORKER, "stage"), "{{stage}}"),
    ),
    line_panel(
        "Retries and throttles",
        "Requests repeated after an error, and requests or rows refused for lack of capacity, by sink. No record is "
        "lost; the worker's log shows the reason.",
        "TableThrottled",
        PER_SECOND,
        Query(f"{rate('sensorstream_retries_total', WORKER, 'sink')} > 0", "retries: {{sink}}"),
        Query(f"{rate('sensorstream_throttles_total', WORKER, 'sink')} > 0", "throttles: {{sink}}"),
        bars=True,
        quiet="no retries",
    ),
]
OBJECTS = [
    line_panel(
        "Open archive objects",
        "Records in the open archive object of each shard; the ten highest. They are durable as rows and still in the "
        "stream; a full archive object is stored at once.",
        "ArchiveObjectOpenTooLong",
        "short",
        Query(highest(f"max by (shard) (sensorstream_archive_open_records{{{SHARD}}})"), "{{shard}}"),
        table=True,
    ),
    line_panel(
        "Age of the open archive objects",
        "Time since each was opened; the ten highest. Far above the window while records arrive: the archive cannot be "
        "reached.",
        "ArchiveObjectOpenTooLong",
        "s",
        Query(highest(f"max by (shard) (sensorstream_archive_object_age_seconds{{{SHARD}}})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Archive objects stored",
        "Per minute over all shards, average of 15 minutes. None for longer than the window while records arrive: the "
        "archive cannot be reached.",
        "The archive is out of reach",
        "short",
        Query(f"60 * {smooth('sensorstream_archive_objects_total', WORKER)}", "per minute", BLUE),
    ),
    line_panel(
        "Archive",
        "Compressed bytes stored per second, average of 15 minutes.",
        "The archive is out of reach",
        "Bps",
        Query(smooth("sensorstream_archive_bytes_total", WORKER), "compressed", BLUE),
    ),
    line_panel(
        "How archive objects were committed",
        "Archive objects and dead-letter objects by outcome. new and committed: normal. replaced and adopted: after a "
        "restart or a hand-over. fenced: a worker was suspended and another had taken over its shard. Many fenced "
        "without a deployment: workers are short of CPU or suspended.",
        "FenceEvents",
        PER_SECOND,
        Query(f"{rate('sensorstream_fence_outcomes_total', WORKER, 'outcome')} > 0", "{{outcome}}"),
        bars=True,
        quiet="none committed",
    ),
    line_panel(
        "Checkpoints",
        "Checkpoints completed, and refused by the KCL, per second, average of 15 minutes. Refused for lack of "
        "capacity of the lease table: the service retries. Refused with ShutdownException: another worker has taken "
        "over the shard.",
        "A worker is lost",
        PER_SECOND,
        Query(smooth("sensorstream_checkpoints_total", WORKER), "completed", GREEN),
        Query(f"{smooth('sensorstream_checkpoint_errors_total', WORKER)} or vector(0)", "refused", RED),
    ),
]
