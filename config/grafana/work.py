"""Panels of the dashboard Service that follow the records: shards, stages and sinks, archive objects."""

from config.grafana.parts import (
    BLUE,
    GREEN,
    PER_SECOND,
    RED,
    SHARD,
    WORKER,
    Query,
    line_panel,
    most,
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
        "The ten that are worst off. A saw-tooth up to the archive object's window is normal: what is younger waits "
        "in the "
        "open archive object. A line that climbs: the stream cannot be read, or what was read cannot be written. One "
        "shard "
        "alone: one device floods it.",
        "LagGrowing",
        "s",
        Query(most(f"max by (shard) ({LAG})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Age of the oldest record not checkpointed",
        "Of what has been read, the ten oldest. A saw-tooth up to the archive object's window is normal. Without its "
        "teeth "
        "nothing gets checkpointed: look at retries and throttles below.",
        "CheckpointStale",
        "s",
        Query(most(f"max by (shard) ({AGE})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Records by shard",
        "Records taken from each shard per second, the ten fullest. A shard takes in 1,000 a second at most; far "
        "apart: the keys are unevenly spread.",
        "LagGrowing",
        PER_SECOND,
        Query(most(rate("sensorstream_shard_records_total", SHARD, "shard")), "{{shard}}"),
        table=True,
    ),
    line_panel(
        "Time since the last read, by shard",
        "The ten that have not been read for longest, empty reads count as reads. Seconds are normal, also of a shard "
        "where nothing comes.",
        "StreamUnreadable",
        "s",
        Query(most(f"max by (shard) (sensorstream_read_age_seconds{{{SHARD}}})"), "{{shard}}"),
        width=12,
        limit=120,
        table=True,
    ),
    line_panel(
        "Reads that fail",
        "Shards that cannot be read, by the reason that the daemon gives. The table in the runbook tells what to do.",
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
        "Half of the batches take less. decode is our CPU, rows is the table, archive is packing and now and then "
        "an archive object.",
        "LagGrowing",
        "s",
        Query(quantile(0.5, STAGE, WORKER, "stage"), "{{stage}}"),
    ),
    line_panel(
        "Time of a batch by stage, p99",
        "All but one in a hundred take less. rows in seconds: the table is throttled or slow. archive in seconds: "
        "S3 is slow, or the archive objects are large.",
        "TableThrottled",
        "s",
        Query(quantile(0.99, STAGE, WORKER, "stage"), "{{stage}}"),
    ),
    line_panel(
        "Retries and throttles",
        "Requests sent again after an error, and requests or rows refused for capacity, by sink. Nothing is lost "
        "meanwhile; the log of the worker tells the reason.",
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
        "Records of each shard that wait in its open archive object to be archived, the ten fullest. They are durable "
        "as "
        "rows, and in the stream; a full archive object is archived at once.",
        "ArchiveObjectOpenTooLong",
        "short",
        Query(most(f"max by (shard) (sensorstream_archive_open_records{{{SHARD}}})"), "{{shard}}"),
        table=True,
    ),
    line_panel(
        "Age of the open archive objects",
        "Since the first record of each arrived, the ten oldest. Far above the window while records come in: the "
        "archive is out of reach, or the service catches up.",
        "ArchiveObjectOpenTooLong",
        "s",
        Query(most(f"max by (shard) (sensorstream_archive_object_age_seconds{{{SHARD}}})"), "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
        table=True,
    ),
    line_panel(
        "Archive objects archived",
        "Per minute over all shards, as an average of 15 minutes. None for longer than the window while records come "
        "in: the archive is out of reach.",
        "The archive is out of reach",
        "short",
        Query(f"60 * {smooth('sensorstream_archive_objects_total', WORKER)}", "per minute", BLUE),
    ),
    line_panel(
        "Archive",
        "Bytes per second that go to the archive, compressed, as an average of 15 minutes.",
        "The archive is out of reach",
        "Bps",
        Query(smooth("sensorstream_archive_bytes_total", WORKER), "compressed", BLUE),
    ),
    line_panel(
        "How archive objects were committed",
        "Archive objects, and the objects of their dead letters. new and committed are everyday; replaced and adopted "
        "follow a "
        "restart or a hand-over; fenced is a worker that woke up after another had taken its shard. Many fenced "
        "without a deploy: workers stand still.",
        "FenceEvents",
        PER_SECOND,
        Query(f"{rate('sensorstream_fence_outcomes_total', WORKER, 'outcome')} > 0", "{{outcome}}"),
        bars=True,
        quiet="none committed",
    ),
    line_panel(
        "Checkpoints",
        "Made, and refused by the KCL, per second, as an average of 15 minutes. Refused for the lease table's "
        "capacity: it is tried again. ShutdownException: the shard went to another worker.",
        "A worker is lost",
        PER_SECOND,
        Query(smooth("sensorstream_checkpoints_total", WORKER), "made", GREEN),
        Query(f"{smooth('sensorstream_checkpoint_errors_total', WORKER)} or vector(0)", "refused", RED),
    ),
]
