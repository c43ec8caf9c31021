"""The AWS clients of the service: one connection pool each, retries left to consumer/aws/retry.py.

Rows are written by `batch_write` and `put_item` (dynamodb.py), everything else is asked for by botocore's clients.
"""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from consumer.aws.credentials import Credentials
from consumer.aws.dynamodb import Operation
from consumer.aws.errors import NOT_AWS, explain, explain_if_aws, is_credential_error
from consumer.aws.retry import FAILURES
from consumer.kcl.first_leases import create, seed
from consumer.settings import Service, Settings
from consumer.sinks.alerts import AT_ONCE

if TYPE_CHECKING:
    from types_aiobotocore_cloudwatch import CloudWatchClient
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client

    from consumer.kcl.first_leases import ListShards

log = logging.getLogger(__name__)

CREATE_SECONDS: Final = 180.0
"""Limit in seconds for creating the lease table with its first rows."""
SEED_SECONDS: Final = 30.0
"""Limit in seconds for the first rows alone; without them the KCL writes its own."""


class Unreachable(Exception):
    """A required AWS resource cannot be reached; the message is one line for people."""


class Clients:
    """An async context: the clients live as long as it does."""

    credentials: Credentials
    dynamodb: "DynamoDBClient"
    batch_write: Operation
    put_item: Operation
    kinesis: Any  # no stubs: consumer/kcl/lease_table.py types the one operation that is used
    s3: "S3Client"
    cloudwatch: "CloudWatchClient"
    functions: Any  # no stubs: consumer/sinks/alerts.py uses one operation

    def __init__(self, settings: Settings, only_rows: bool = False) -> None:
        """`only_rows` is for a program that has no use for other clients than those that write rows."""
        self._settings = settings
        self._only_rows = only_rows
        self._session = get_session()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Clients":
        """Raises what the AWS SDK raises where it finds no credentials (see errors.explain_if_aws)."""
        self.credentials = await Credentials.find(self._session, self._settings.aws_region)
        self.dynamodb = await self._client("dynamodb")
        self.batch_write, self.put_item = await self._operations("BatchWriteItem", "PutItem")
        if self._only_rows:
            return self
        self.s3 = await self._client("s3")
        self.kinesis = await self._client("kinesis")
        if self._settings.alert_function:
            self.functions = await self._client("lambda", pool=AT_ONCE)
        if self._settings.cloudwatch_namespace:
            self.cloudwatch = await self._client("cloudwatch")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _operations(self, *names: str) -> list[Operation]:
        # Only the address of a signed request is as the SDK resolves it by all its rules: client.meta has some of them.
        asked: Any = {"RequestItems": {self._settings.sensor_table: []}}
        signed = await self.dynamodb.generate_presigned_url("batch_write_item", Params=asked)
        region, ca_bundle = self.dynamodb.meta.region_name, self._session.get_config_variable("ca_bundle")
        url = signed.partition("?")[0]
        operations = [Operation(name, url, region, self.credentials, ca_bundle) for name in names]
        for operation in operations:
            self._stack.push_async_callback(operation.close)
        return operations

    async def _client(self, service: Service, pool: int = 10) -> Any:
        return await self._stack.enter_async_context(self._create(service, pool))

    def _create(self, service: Service, pool: int = 10) -> Any:
        # What is sent is made by this program; botocore's check of it would only cost time.
        config = AioConfig(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=pool,
            parameter_validation=False,
        )
        settings = self._settings
        return self._session.create_client(
            service, region_name=settings.aws_region, endpoint_url=settings.endpoint(service), config=config
        )

    async def check(self) -> None:
        """Requests stream, table and bucket once each. Raises Unreachable naming the setting to check."""
        settings = self._settings
        async with self._create("kinesis") as kinesis:
            question = kinesis.describe_stream_summary(StreamName=settings.stream_name)
            await self._ask("STREAM_NAME", "kinesis", question, "StreamDescriptionSummary")
        table = self.dynamodb.describe_table(TableName=settings.sensor_table)
        await self._ask("SENSOR_TABLE", "dynamodb", table, "Table")
        if settings.devices_table:
            devices = self.dynamodb.describe_table(TableName=settings.devices_table)
            await self._ask("DEVICES_TABLE", "dynamodb", devices, "Table")
        if settings.rollup_table:
            rollups = self.dynamodb.describe_table(TableName=settings.rollup_table)
            await self._ask("ROLLUP_TABLE", "dynamodb", rollups, "Table")
        await self._ask("ARCHIVE_BUCKET", "s3", self.s3.head_bucket(Bucket=settings.archive_bucket), "ResponseMetadata")

    async def _ask(self, variable: str, service: Service, question: Any, expected: str) -> None:
        name = getattr(self._settings, variable.lower())
        try:
            answer = await question
        except (BotoCoreError, ClientError) as error:
            if is_credential_error(error):
                raise Unreachable(explain(error)) from error
            if isinstance(error, ClientError):
                raise Unreachable(f"{variable}: {name}: {explain(error)}") from error
            where = self._settings.endpoint(service) or f"AWS in {self._settings.aws_region}"
            raise Unreachable(f"{variable}: {name}: {service} at {where} does not answer: {explain(error)}") from error
        if expected not in answer:
            raise Unreachable(f"{variable}: {name}: {NOT_AWS}")

    async def prepare(self) -> None:
        """Gives an empty lease table its first rows; creates it first where LEASE_TABLES=create.

        Raises Unreachable where it has to create the table and cannot.
        """
        settings = self._settings
        makes = settings.lease_tables == "create"
        try:
            async with asyncio.timeout(CREATE_SECONDS if makes else SEED_SECONDS), self._create("kinesis") as kinesis:
                await self._prepare(kinesis.list_shards)
        except FAILURES as error:
            why = explain_if_aws(error) or str(error) or "no answer in time"
            if makes:
                raise Unreachable(f"APPLICATION_NAME: {settings.application_name}: no lease table: {why}") from error
            log.warning("no first leases written: %s", why)  # the KCL writes them, later

    async def _prepare(self, list_shards: "ListShards") -> None:
        settings, makes = self._settings, self._settings.lease_tables == "create"
        table, stream = settings.application_name, settings.stream_name
        if makes:
            await create(self.dynamodb, table)
        if settings.initial_position is None:  # without an owner the leader assigns them
            await seed(self.dynamodb, table, stream, list_shards, settings.worker_id if makes else None)
