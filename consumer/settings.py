"""The environment, read once into one frozen object; the process fails at start, naming every variable that is wrong.

A setting is the attribute's name in capitals, its default and bounds, and the text below it: `make docs` writes the
table of docs/settings.md from them. An empty variable counts as not set.
"""

import dataclasses
import re
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from consumer import misspelt
from consumer import setting_types as types
from consumer.archive.compression import Compression
from consumer.own_decoder import OwnDecoder, load
from consumer.payload.contracts import DEFAULT, Contracts

Service = Literal["kinesis", "dynamodb", "s3", "cloudwatch", "lambda"]


class SettingsError(Exception):
    """`faults`: a line for each, `VARIABLE: what is wrong and how to fix it`; the text is all of them."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _setting(parse: Callable[[str], Any], default: object = dataclasses.MISSING) -> Any:
    """A field whose text in the environment `parse` reads; `parse` raises ValueError saying what is wrong, and its
    own docstring says what it takes."""
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata={"parse": parse})
    return dataclasses.field(default=default, metadata={"parse": parse})


def _whole(default: int, minimum: int, maximum: int, unit: str = "") -> Any:
    return _setting(types.whole(minimum, maximum, unit), default)


def _choice(default: str, *others: str) -> Any:
    return _setting(types.choice(default, *others), default)


def _flag(default: bool) -> Any:
    return _setting(types.flag, default)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the service. A default marked `derived` is filled in by `load`."""

    stream_name: str = _setting(types.stream_name)
    """The Kinesis stream to read."""
    sensor_table: str = _setting(types.table_name)
    """The DynamoDB table for the rows."""
    archive_bucket: str = _setting(types.bucket_name)
    """The S3 bucket for archive objects and dead letters."""
    aws_region: str = _setting(types.region)
    """The region of all of them; `AWS_DEFAULT_REGION` is read if it is not set."""
    aws_endpoint_url: str | None = _setting(types.url, None)
    """The address of AWS, if not its own."""
    aws_endpoint_url_kinesis: str | None = _setting(types.url, None)
    """The same for one service; takes precedence over `AWS_ENDPOINT_URL`."""
    aws_endpoint_url_dynamodb: str | None = _setting(types.url, None)
    """The same for DynamoDB, the lease table included."""
    aws_endpoint_url_s3: str | None = _setting(types.url, None)
    """The same for S3."""
    aws_endpoint_url_cloudwatch: str | None = _setting(types.url, None)
    """The same for CloudWatch."""
    aws_endpoint_url_lambda: str | None = _setting(types.url, None)
    """The same for Lambda."""

    application_name: str = _setting(types.table_name, "")  # derived
    """The KCL application: all workers of one name share the shards. Also the lease table's name. By default
    `<STREAM_NAME>-consumer`."""
    worker_id: str = _setting(types.worker_id, "")  # derived
    """This worker's name. It must be the same after a restart in place, since a new name waits for the old one's
    leases to expire. No two workers may have the same. By default the host's name."""
    initial_position: datetime | None = _setting(types.position, None)  # noqa: RUF009  # in UTC; None: TRIM_HORIZON
    """Where a shard without a checkpoint begins: its oldest record, or the first at that time. `LATEST` is refused: it
    would lose what arrives before the first checkpoint."""
    retrieval_mode: str = _choice("POLLING", "FANOUT")
    """`POLLING` shares a shard's 2 MB/s with other readers. `FANOUT` is enhanced fan-out: a throughput of its own,
    at its own price."""
    stream_consumer: str = _setting(types.stream_name, "")  # derived
    """With `FANOUT`: the name of the stream's registered consumer. It must exist, or the consumer may register it.
    By default `APPLICATION_NAME`."""
    max_records: int = _whole(1_500, 1, 10_000, "records")
    """Records of one poll. More need more heap per shard, and so do large records: [how
    much](docs/backpressure.md#the-daemons-heap)."""
    poll_millis: int = _whole(250, 200, 10_000, "ms")
    """From one poll of a shard to the next. A shard answers five polls a second, for all its readers. A silent
    shard is polled less often, after twenty seconds every two seconds: its next reading comes later by a tenth of
    the silence, two seconds at most ([decision 28](docs/decisions/0028-polling.md))."""
    failover_seconds: int = _whole(10, 2, 300, "s")
    """A lease that is not renewed for this time may be taken by another worker."""
    lease_tables: str = _choice("existing", "create")
    """`existing`: the lease table was created with the stack; the consumer writes the first leases into an empty
    one. `create`: the consumer also creates the table (one worker, without a stack)."""
    fast_start: bool = _flag(False)
    """Short intervals in the KCL, for a fast first start on one machine. They cost requests all the time."""
    java_heap_mb: int = _whole(400, 64, 65_536, "MiB")
    """Heap of the KCL daemon: [how much](docs/backpressure.md#the-daemons-heap)."""

    archive_max_records: int = _whole(10_000, 1, 1_000_000, "records")
    """An archive object holds at most this many records."""
    archive_max_bytes: int = _whole(8_388_608, 1_024, 268_435_456, "bytes")
    """An archive object is full at this size before compression."""
    archive_max_seconds: int = _whole(60, 1, 3_600, "s")
    """An archive object holds the records of a window of arrival times of this length."""
    archive_compression: Compression = _choice("zstd", "gzip")  # noqa: RUF009
    """How archive objects are compressed. A new choice holds for a shard from its next archive object but one:
    [why](docs/decisions/0025-zstd.md#the-key)."""

    reading_contracts: Contracts = _setting(types.contracts, DEFAULT)  # noqa: RUF009
    """How the payloads of your devices are read: [contracts](docs/contracts.md). By default the two built-in
    [formats](docs/payloads.md)."""
    payload_decoder: OwnDecoder | None = _setting(load, None)  # noqa: RUF009
    """A function of your own for payloads that no contract can describe:
    [decoder of your own](docs/contracts.md#a-decoder-of-your-own)."""
    alert_function: str | None = _setting(types.function_name, None)
    """The function that is called for each reading that meets the condition; without it the consumer raises no
    alerts: [who raises alerts](docs/iot-rules.md#alerts-by-the-consumer)."""
    alert_field: str = _setting(types.field, "humidity")
    """The field of the condition: a measure, a sensor or the reading's value of a contract, by its name or path;
    `value` is the value of every reading. With `ALERT_FUNCTION` any other is refused."""
    alert_when: Literal["below", "above"] = _choice("below", "above")
    """On which side of the threshold a value raises an alert."""
    alert_threshold: Decimal = _setting(types.decimal, Decimal(35))  # noqa: RUF009
    """The threshold itself."""
    alert_max_age: int = _whole(86_400, 0, 315_360_000, "s")
    """A reading that was older than this when it arrived raises no alert (0: any age)."""
    table_resolution: types.Resolution = _setting(types.resolution, types.Resolution())  # noqa: RUF009
    """What the tables hold: a row per reading, a [rollup](docs/rollups.md) per device and window of time instead, or
    both."""
    rollup_table: str | None = _setting(types.table_name, None)
    """Table of the [rollups](docs/rollups.md); needed if `TABLE_RESOLUTION` asks for them."""
    rollup_ttl_days: int = _whole(0, 0, 36_500, "days")
    """The table deletes a rollup this long after the end of its window (0: never)."""
    row_ttl_days: int = _whole(0, 0, 36_500, "days")
    """The table deletes a row this long after its measurement (0: never), within bounds given by its arrival: [rows
    that expire](docs/payloads.md#rows-that-expire)."""
    table_concurrency: int = _whole(8, 1, 256, "requests")
    """Concurrent write requests to the table."""
    devices_table: str | None = _setting(types.table_name, None)
    """Table of the [list of devices](docs/query.md); without it no list is kept."""
    devices_seconds: int = _whole(900, 1, 31_536_000, "s")
    """A worker renews a device's entry in that list at most this often; each renewal is a write, at a reading every
    30 s one for 30 rows. `seen` in the list may be that much behind. Fleets that send less often than every 15 minutes
    write an entry with each reading, unless an hour (3600) or a day is chosen; the console then takes devices out of
    sight for silent that are not."""

    cloudwatch_namespace: str | None = _setting(types.namespace, "Sensor")
    """Namespace of the [metrics](docs/metrics.md#cloudwatch) in CloudWatch, or `off` to send none. The consumer's own
    counters have the dimension `Application` with the value of `APPLICATION_NAME`."""
    cloudwatch_per_sensor: bool = _flag(False)
    """Also sends a metric with the dimension `SensorId` for each device. Each is paid for."""
    http_host: str = _setting(types.host, "127.0.0.1")
    """Address for `/metrics`, `/healthz` and `/shards`. They have no password: admit only who should read them."""
    http_port: int = _whole(8080, 0, 65_535)
    """Its port (0: any free one, shown in the log)."""
    shutdown_seconds: int = _whole(90, 5, 110, "s")
    """Time after SIGTERM to commit and checkpoint what is in progress: [shutdown](docs/settings.md#shutdown)."""
    run_dir: str = _setting(types.run_dir, "")  # derived
    """Folder for the connectors' socket and the daemon's files. By default
    `$TMPDIR/sensorstream-<WORKER_ID>` (macOS: below `/tmp`)."""
    log_level: str = _choice("INFO", "DEBUG", "WARNING", "ERROR")
    """The least level that is logged."""
    log_format: str = _choice("auto", "json", "text")
    """`json`: one object per line; `text`: for people; `auto`: text on a terminal, else JSON. Always on stderr.
    Lines about a shard have a field `shard`."""

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks every setting; raises SettingsError with all that are missing, wrong or misspelt."""
        found: dict[str, Any] = {}
        faults: list[str] = []
        for field in dataclasses.fields(cls):
            variable = field.name.upper()
            text = environ.get(variable, "").strip()
            if not text and field.name == "aws_region":
                variable, text = "AWS_DEFAULT_REGION", environ.get("AWS_DEFAULT_REGION", "").strip()
            if text:
                found[field.name] = _parsed(variable, text, field.metadata["parse"], faults)
            elif field.default is dataclasses.MISSING:
                faults.append(f"{field.name.upper()}: is not set and has no default; set it (see docs/settings.md)")
        _derive(found, environ, faults)
        _require_alert_field(found, faults)
        if (asked := found.get("table_resolution")) and asked.seconds and not environ.get("ROLLUP_TABLE", "").strip():
            faults.append("ROLLUP_TABLE: is not set; TABLE_RESOLUTION asks for rollups, so name a table for them")
        faults += misspelt.faults(environ, {*cls.variables(), *misspelt.AWS_VARIABLES})
        if faults:
            raise SettingsError(*faults)
        return cls(**found)

    @classmethod
    def variables(cls) -> list[str]:
        """The names of all variables that are read."""
        return [*(field.name.upper() for field in dataclasses.fields(cls)), "AWS_DEFAULT_REGION"]

    def endpoint(self, service: Service) -> str | None:
        """The service's address: its own AWS_ENDPOINT_URL_<SERVICE>, else AWS_ENDPOINT_URL, else None (AWS's own)."""
        return cast("str | None", getattr(self, f"aws_endpoint_url_{service}")) or self.aws_endpoint_url


def _parsed(variable: str, text: str, parse: Callable[[str], Any], faults: list[str]) -> Any:
    """The value, or None and a line more in `faults`."""
    try:
        return parse(text)
    except ValueError as error:
        faults.append(f"{variable}: {error}")
        return None


def _derive(found: dict[str, Any], environ: Mapping[str, str], faults: list[str]) -> None:
    """Fills in the defaults that come from other settings or from the host."""
    application = found.get("application_name") or f"{found.get('stream_name')}-consumer"
    worker = found.get("worker_id") or _parsed("WORKER_ID", socket.gethostname(), types.worker_id, faults)
    # The end of an ECS task's ARN is unique.
    own = f"sensorstream-{re.sub('[/:]', '-', str(worker))[-32:]}"
    # TMPDIR of macOS alone takes 49 of the 103 bytes that a Unix socket's path may have there.
    folder = f"{(sys.platform != 'darwin' and environ.get('TMPDIR')) or '/tmp'}/{own}"  # noqa: S108
    place = found["run_dir"] if "run_dir" in found else _parsed("RUN_DIR", folder, types.run_dir, faults)
    if decoder := found.get("payload_decoder"):
        found["reading_contracts"] = Contracts((found.get("reading_contracts") or DEFAULT).entries, decoder)
    found |= {
        "application_name": application,
        "stream_consumer": found.get("stream_consumer") or application,
        "worker_id": worker,
        "run_dir": place,
    }


def _require_alert_field(found: Mapping[str, Any], faults: list[str]) -> None:
    """A fault where no reading could ever have the field that alerts go by."""
    known = (found.get("reading_contracts") or DEFAULT).fields()
    field = found.get("alert_field") or "humidity"
    if found.get("alert_function") and known and field not in known:
        faults.append(
            f"ALERT_FIELD: no reading has {types.quoted(field)}; what readings have is {', '.join(sorted(known))}"
        )
