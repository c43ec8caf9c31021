"""The usual way: amazon_kclpy's processor, boto3's batch_writer for rows, one object per delivery. One process a shard.

    python -m tests.bench.peers.sample_like

As the sample of amazon_kclpy (checkpoint every minute) and boto3's guide to DynamoDB (batch_writer) teach.
"""

import gzip
import json
import time
from typing import Any

import boto3
from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor

CHECKPOINT_SECONDS = 60


class Processor(processor.RecordProcessorBase):  # type: ignore[misc] # the library has no types
    """Rows and an object for each delivery; loses and repeats records at crashes, as such programs do."""

    def __init__(self) -> None:
        self._table = boto3.resource("dynamodb").Table("sensors")
        self._s3 = boto3.client("s3")
        self._largest: tuple[int, int] | None = None
        self._checkpointed = time.time()

    def initialize(self, initialize_input: Any) -> None:
        self._shard = initialize_input.shard_id

    def process_records(self, process_records_input: Any) -> None:
        records = process_records_input.records
        if not records:
            return
        with self._table.batch_writer(overwrite_by_pkeys=["name", "timeStampEpoch"]) as batch:
            for record in records:
                payload = json.loads(record.binary_data)
                for item in payload if isinstance(payload, list) else [payload]:
                    batch.put_item(Item=item)
                position = int(record.sequence_number), record.sub_sequence_number
                if self._largest is None or position > self._largest:
                    self._largest = position
        body = gzip.compress(b"\n".join(record.binary_data for record in records), 6)
        self._s3.put_object(Bucket="archive", Key=f"raw/{self._shard}/{time.time_ns()}.gz", Body=body)
        if time.time() - self._checkpointed > CHECKPOINT_SECONDS:
            self.checkpoint(process_records_input.checkpointer)
            self._checkpointed = time.time()

    def checkpoint(self, checkpointer: Any) -> None:
        if self._largest:
            checkpointer.checkpoint(str(self._largest[0]), self._largest[1])

    def lease_lost(self, lease_lost_input: Any) -> None:
        pass

    def shard_ended(self, shard_ended_input: Any) -> None:
        shard_ended_input.checkpointer.checkpoint()

    def shutdown_requested(self, shutdown_requested_input: Any) -> None:
        self.checkpoint(shutdown_requested_input.checkpointer)


if __name__ == "__main__":
    kcl.KCLProcess(Processor()).run()
