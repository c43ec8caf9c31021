"""The consumer's own way of reading payloads, for the commands that read archived records once more."""

import os
from collections.abc import Mapping

from consumer.settings import Settings, SettingsError
from producer.aws.errors import UserError
from producer.aws.stack import Stack

NAMES = ("reading_contracts", "payload_decoder", "row_ttl_days", "rollup_ttl_days", "table_concurrency")
"""Settings that decide which rows a record gives, and how many requests write them at once."""


def consumer_settings(
    stack: Stack, table: str | None, chosen: Mapping[str, str | None], rollups: str | None = None
) -> Settings:
    """`chosen` are settings by option; None is the setting's default. Raises UserError naming the variable."""
    environ = {name.upper(): value for name in NAMES if (value := chosen.get(name)) is not None}
    environ |= {name: os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")}
    environ |= {
        "AWS_REGION": stack.session.region_name or "",
        "STREAM_NAME": stack.stream,
        "SENSOR_TABLE": table or stack.table,
        "ROLLUP_TABLE": rollups or stack.rollup_table,
        "ARCHIVE_BUCKET": stack.bucket,
    }
    try:
        return Settings.load(environ)
    except SettingsError as error:
        raise UserError("; ".join(error.faults)) from None
