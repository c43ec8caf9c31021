"""Panels of the dashboard Service that follow the records: shards, stages and sinks, parcels."""

from infra.dashboards.parts import (
    BLUE,
    GREEN,
    PER_SECOND,
    RED,
    SHARD,
    WORKER,
    Query,
    line_panel,
    or_none,
    quantile,
    rate,
)

LAG = f"sensorstream_millis_behind_latest{{{SHARD}}}"
AGE = f"sensorstream_checkpoint_age_seconds{{{SHARD}}}"
LIMIT = f"max(sensorstream_parcel_seconds_limit{{{WORKER}}})"
STAGE = "sensorstream_stage_seconds"

SHARDS = [
    line_panel(
        "Lag by shard",
        "How far each shard was behind the newest record at its last delivery. It stands still while a delivery "
        "cannot be written: then the age beside it grows. One shard alone: one device floods it.",
        "LagGrowing",
        "s",
        Query(f"max by (shard) ({LAG}) / 1000", "{{shard}}"),
        top=1,
    ),
    line_panel(
        "Age of the oldest record not checkpointed",
        "A saw-tooth up to the parcel's window is normal. Without its teeth nothing gets checkpointed: look at "
        "retries and throttles below.",
        "CheckpointStale",
        "s",
        Query(f"max by (shard) ({AGE})", "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
    ),
    line_panel(
        "Records by shard",
        "Records taken from each shard per second. A shard takes in 1,000 a second at most; far apart: the keys are "
        "unevenly spread.",
        "LagGrowing",
        PER_SECOND,
        Query(rate("sensorstream_shard_records_total", SHARD, "shard"), "{{shard}}"),
    ),
]
STAGES = [
    line_panel(
        "Time of a batch by stage, half",
        "Half of the batches take less. decode is our CPU, rows is the table, archive is packing and now and then "
        "a parcel.",
        "LagGrowing",
        "s",
        Query(quantile(0.5, STAGE, WORKER, "stage"), "{{stage}}"),
    ),
    line_panel(
        "Time of a batch by stage, 99 %",
        "All but one in a hundred take less. rows in seconds: the table is throttled or slow. archive in seconds: "
        "S3 is slow, or the parcels are large.",
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
        Query(or_none(rate("sensorstream_retries_total", WORKER, "sink"), "sink"), "retries: {{sink}}"),
        Query(or_none(rate("sensorstream_throttles_total", WORKER, "sink"), "sink"), "throttles: {{sink}}"),
        bars=True,
    ),
]
PARCELS = [
    line_panel(
        "Open parcels",
        "Records of each shard that wait in its open parcel to be archived. They are durable as rows, and in the "
        "stream; a full parcel is archived at once.",
        "ParcelOpenTooLong",
        "short",
        Query(f"max by (shard) (sensorstream_open_parcel_records{{{SHARD}}})", "{{shard}}"),
    ),
    line_panel(
        "Age of the open parcels",
        "Since the first record of each arrived. Far above the window while records come in: the archive is out of "
        "reach, or the service catches up.",
        "ParcelOpenTooLong",
        "s",
        Query(f"max by (shard) (sensorstream_parcel_age_seconds{{{SHARD}}})", "{{shard}}"),
        Query(LIMIT, "window", RED, limit=True),
    ),
    line_panel(
        "Parcels archived",
        "Per minute, over all shards. None for longer than the window while records come in: the archive is out of "
        "reach.",
        "The archive is out of reach",
        "short",
        Query(f"60 * {rate('sensorstream_parcels_total', WORKER)}", "per minute", BLUE),
    ),
    line_panel(
        "Archive",
        "Bytes per second that go to the archive, compressed.",
        "The archive is out of reach",
        "Bps",
        Query(rate("sensorstream_parcel_bytes_total", WORKER), "compressed", BLUE),
    ),
    line_panel(
        "How parcels were settled",
        "Parcels, and the objects of their dead letters. new and settled are everyday; replaced and adopted follow a "
        "restart or a hand-over; fenced is a worker that woke up after another had taken its shard. Many fenced "
        "without a deploy: workers stand still.",
        "FenceEvents",
        PER_SECOND,
        Query(or_none(rate("sensorstream_fence_outcomes_total", WORKER, "outcome"), "outcome"), "{{outcome}}"),
        bars=True,
    ),
    line_panel(
        "Checkpoints",
        "Made, and refused by the KCL, per second. Refused for the lease table's capacity: it is tried again. "
        "ShutdownException: the shard went to another worker.",
        "A worker is lost",
        PER_SECOND,
        Query(rate("sensorstream_checkpoints_total", WORKER), "made", GREEN),
        Query(f"{rate('sensorstream_checkpoint_errors_total', WORKER)} or vector(0)", "refused", RED),
    ),
]
