"""The environment, read once into one frozen object; the process fails at start, naming every variable that is wrong.

A setting is the attribute's name in capitals, its default and its bounds: one line of `Settings`.
An empty variable counts as not set. docs/settings.md explains each setting; a test compares the two.
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
from consumer.archive.compression import Compression
from consumer.own_decoder import OwnDecoder, load
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.setting_types import contracts, decimal, position, quoted, run_dir, url

Service = Literal["kinesis", "dynamodb", "s3", "cloudwatch", "lambda"]


class SettingsError(Exception):
    """`faults`: a line for each, `VARIABLE: what is wrong and how to fix it`; the text is all of them."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _setting(parse: Callable[[str], Any], default: object = dataclasses.MISSING) -> Any:
    """A field whose text in the environment `parse` reads; `parse` raises ValueError saying what is wrong."""
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata={"parse": parse})
    return dataclasses.field(default=default, metadata={"parse": parse})


def _whole(default: int, minimum: int, maximum: int) -> Any:
    def parse(text: str) -> int:
        # int() would also take "1_000" and the digits of other scripts
        if re.fullmatch(r"[0-9]{1,12}", text) is None or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}, not {quoted(text)}")
        return int(text)

    return _setting(parse, default)


def _choice(default: str, *others: str) -> Any:
    def parse(text: str) -> str:
        if text not in (default, *others):
            raise ValueError(f"must be one of {', '.join((default, *others))}, not {quoted(text)}")
        return text

    return _setting(parse, default)


def _flag(default: bool) -> Any:
    def parse(text: str) -> bool:
        if text not in ("true", "false"):
            raise ValueError(f"must be true or false, not {quoted(text)}")
        return text == "true"

    return _setting(parse, default)


def _name(what: str, pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {what}, not {quoted(text)}")
        return text

    return parse


_stream_name = _name("a stream's name (1 to 128 of A-Z a-z 0-9 _ . -)", r"[A-Za-z0-9_.-]{1,128}")
_table_name = _name("a table's name (3 to 255 of A-Z a-z 0-9 _ . -)", r"[A-Za-z0-9_.-]{3,255}")
_bucket_name = _name("a bucket's name (3 to 63 of a-z 0-9 . -)", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_function_name = _name(
    "a function's name or ARN", r"(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}"
)
_field = _name(
    "a field's name or a dotted path, such as soil.moisture", r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
)
_region = _name("a region such as eu-central-1", r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_worker_id = _name("1 to 256 of A-Z a-z 0-9 . _ : / -", r"[A-Za-z0-9._:/-]{1,256}")
_host = _name("a host name or an address to listen on", r"[A-Za-z0-9.:_-]{1,253}")
_namespace = _name(
    "a CloudWatch namespace (1 to 255 of A-Z a-z 0-9 . _ / # : -, not AWS/...) or off",
    r"(?!AWS/)[A-Za-z0-9._/#:-]{1,255}",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the service. A default marked `derived` is filled in by `load`."""

    stream_name: str = _setting(_stream_name)
    sensor_table: str = _setting(_table_name)
    archive_bucket: str = _setting(_bucket_name)
    aws_region: str = _setting(_region)
    aws_endpoint_url: str | None = _setting(url, None)
    aws_endpoint_url_kinesis: str | None = _setting(url, None)
    aws_endpoint_url_dynamodb: str | None = _setting(url, None)
    aws_endpoint_url_s3: str | None = _setting(url, None)
    aws_endpoint_url_cloudwatch: str | None = _setting(url, None)
    aws_endpoint_url_lambda: str | None = _setting(url, None)

    application_name: str = _setting(_table_name, "")  # derived
    worker_id: str = _setting(_worker_id, "")  # derived
    initial_position: datetime | None = _setting(position, None)  # noqa: RUF009  # in UTC; None: TRIM_HORIZON
    retrieval_mode: str = _choice("POLLING", "FANOUT")
    stream_consumer: str = _setting(_stream_name, "")  # derived
    max_records: int = _whole(1_500, 1, 10_000)
    poll_millis: int = _whole(250, 200, 10_000)
    failover_seconds: int = _whole(10, 2, 300)
    lease_tables: str = _choice("existing", "create")
    fast_start: bool = _flag(False)
    java_heap_mb: int = _whole(256, 64, 65_536)

    archive_max_records: int = _whole(10_000, 1, 1_000_000)
    archive_max_bytes: int = _whole(8_388_608, 1_024, 268_435_456)
    archive_max_seconds: int = _whole(60, 1, 3_600)
    archive_compression: Compression = _choice("zstd", "gzip")  # noqa: RUF009

    reading_contracts: Contracts = _setting(contracts, DEFAULT)  # noqa: RUF009
    payload_decoder: OwnDecoder | None = _setting(load, None)  # noqa: RUF009
    alert_function: str | None = _setting(_function_name, None)
    alert_field: str = _setting(_field, "humidity")
    alert_when: Literal["below", "above"] = _choice("below", "above")
    alert_threshold: Decimal = _setting(decimal, Decimal(35))  # noqa: RUF009
    alert_max_age: int = _whole(86_400, 0, 315_360_000)
    row_ttl_days: int = _whole(0, 0, 36_500)
    table_concurrency: int = _whole(8, 1, 256)
    devices_table: str | None = _setting(_table_name, None)
    devices_seconds: int = _whole(300, 1, 31_536_000)

    cloudwatch_namespace: str | None = _setting(lambda text: None if text == "off" else _namespace(text), "Sensor")
    cloudwatch_per_sensor: bool = _flag(False)
    http_host: str = _setting(_host, "127.0.0.1")
    http_port: int = _whole(8080, 0, 65_535)
    shutdown_seconds: int = _whole(90, 5, 110)
    run_dir: str = _setting(run_dir, "")  # derived
    log_level: str = _choice("INFO", "DEBUG", "WARNING", "ERROR")
    log_format: str = _choice("auto", "json", "text")

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
    worker = found.get("worker_id") or _parsed("WORKER_ID", socket.gethostname(), _worker_id, faults)
    # The end of an ECS task's ARN is unique.
    own = f"sensorstream-{re.sub('[/:]', '-', str(worker))[-32:]}"
    # TMPDIR of macOS alone takes 49 of the 103 bytes that a Unix socket's path may have there.
    folder = f"{(sys.platform != 'darwin' and environ.get('TMPDIR')) or '/tmp'}/{own}"  # noqa: S108
    place = found["run_dir"] if "run_dir" in found else _parsed("RUN_DIR", folder, run_dir, faults)
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
        faults.append(f"ALERT_FIELD: no reading has {quoted(field)}; what readings have is {', '.join(sorted(known))}")
