"""The consumer's own way of reading payloads, for the commands that read archived records once more."""

import os

from consumer.settings import Settings, SettingsError
from producer.aws.errors import UserError
from producer.aws.stack import Stack

OPTIONS = ("READING_FIELDS", "MEASURES", "ROW_TTL_DAYS", "TABLE_CONCURRENCY")
"""Settings that decide which rows a record gives, and how many requests write them at once."""


def consumer_settings(stack: Stack, table: str | None, chosen: dict[str, str | None]) -> Settings:
    """`chosen` are settings by name; what is None comes from the environment. Raises UserError naming the variable."""
    environ = {
        name: value
        for name in (*OPTIONS, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")
        if (value := os.environ.get(name))
    }
    environ |= {name: value for name, value in chosen.items() if value is not None}
    environ |= {
        "AWS_REGION": stack.session.region_name or "",
        "STREAM_NAME": stack.stream,
        "SENSOR_TABLE": table or stack.table,
        "ARCHIVE_BUCKET": stack.bucket,
    }
    try:
        return Settings.load(environ)
    except SettingsError as error:
        raise UserError("; ".join(error.faults)) from None
