"""Who asks AWS, and where: a session by the SDK's own environment variables."""

import os
from typing import TYPE_CHECKING

from consumer import misspelt

if TYPE_CHECKING:  # the SDK takes a third of a second to import
    import boto3

    from producer.aws.stack import Stack

VARIABLES = (
    "STACK_NAME",
    "DEVICES_DIR",
    "IOT_CA_FILE",
    "READING_CONTRACTS",
    "PAYLOAD_DECODER",
    "ROLLUP_TTL_DAYS",
    "ROW_TTL_DAYS",
    "TABLE_CONCURRENCY",
    *misspelt.AWS_VARIABLES,
)
"""What is read from the environment; another name like one of these would silently be another stack or other rows."""


def opened() -> "boto3.Session":
    """Raises UserError for a misspelt variable."""
    import boto3

    from producer.aws.errors import UserError

    if wrong := list(misspelt.faults(os.environ, VARIABLES)):
        raise UserError("; ".join(wrong))
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)  # which boto3 does not look at


def stack(name: str) -> "Stack":
    """The stack of that name. Raises UserError when there is none."""
    from producer.aws.stack import Stack

    return Stack.load(opened(), name)
