"""A deployed stack as one session of AWS sees it: its outputs, read from the SSM parameters
`/sensorstream/<stack>/<Output>`, which exist locally and in the cloud.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from producer.aws.errors import UserError
from producer.fleet.condition import Condition
from producer.fleet.topics import Pattern, patterns

MQTT_PORT = 8883


@dataclass(frozen=True, slots=True)
class Stack:
    """The names of one stack's parts, and who asks for them: all clients of AWS come from `session`.

    To act in another role: `dataclasses.replace(stack, session=...)`.
    """

    session: boto3.Session = field(repr=False)
    name: str
    stream: str
    table: str
    rollup_table: str
    bucket: str
    alert_topic: str  # ARN
    alert_table: str | None  # without an AlertPolicy there is none
    alert_policy: str | None  # as JSON
    api_function: str
    query_url: str
    iot_host: str
    iot_port: int
    device_policy: str
    watch_policy: str
    alert_function: str
    undelivered_queue: str
    topics: list[Pattern]
    alerts: Condition
    readings_rule: str
    basic_ingest: bool

    @classmethod
    def load(cls, session: boto3.Session, name: str) -> "Stack":
        """Reads the parameters of stack `name`; raises UserError when there is no such stack."""
        prefix = f"/sensorstream/{name}/"
        pages = session.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix)
        outputs = {p["Name"].removeprefix(prefix): p["Value"] for page in pages for p in page.get("Parameters", [])}
        if not outputs:
            raise UserError(
                f"no stack {name!r} here (no parameters under {prefix}); name it with --stack or STACK_NAME, "
                "or for the local stack: source .local/env"
            )
        return cls.from_outputs(session, name, outputs)

    @classmethod
    def from_outputs(cls, session: boto3.Session, name: str, outputs: Mapping[str, str]) -> "Stack":
        """Raises UserError naming the output that is missing."""
        try:
            host, port = split_endpoint(outputs["IotEndpoint"])
            return cls(
                session=session,
                name=name,
                stream=outputs["StreamName"],
                table=outputs["SensorTable"],
                rollup_table=outputs["RollupTable"],
                bucket=outputs["ArchiveBucket"],
                alert_topic=outputs["AlertTopicArn"],
                alert_table=outputs.get("AlertTable"),
                alert_policy=outputs.get("AlertPolicy"),
                api_function=outputs["ApiFunction"],
                query_url=outputs["QueryUrl"],
                iot_host=host,
                iot_port=port,
                device_policy=outputs["DevicePolicy"],
                watch_policy=outputs["WatchPolicy"],
                alert_function=outputs["AlertFunction"],
                undelivered_queue=outputs["UndeliveredQueue"],
                topics=patterns(outputs["TopicPattern"]),
                alerts=Condition.of(outputs),
                readings_rule=outputs["ReadingsRule"],
                basic_ingest=outputs["BasicIngest"] == "true",
            )
        except KeyError as missing:
            raise UserError(
                f"stack {name!r} has no output {missing}; deploy its template again (infra/data.yaml)"
            ) from None


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """`host` or `host:port` -> host and port; AWS IoT Core itself listens on 8883."""
    host, colon, port = endpoint.partition(":")
    if not host or (colon and not port.isdecimal()):
        raise UserError(f"IotEndpoint {endpoint!r} is not a host or host:port")
    return host, int(port) if colon else MQTT_PORT


def devices_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the devices' certificates and keys are kept."""
    return Path(environ.get("DEVICES_DIR") or ".local/devices")


def ca_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The CA of the MQTT endpoint when it is not one that the system trusts (the local stack's)."""
    path = environ.get("IOT_CA_FILE")
    if path and not Path(path).is_file():
        raise UserError(f"IOT_CA_FILE: no file {path}; is the local stack up (make up)?")
    return Path(path) if path else None
