"""What tutorials show first: a put_item and a metric for each record. One process a shard.

python -m tests.bench.peers.seed_like
"""

import json
from typing import Any

import boto3
from amazon_kclpy import kcl

from tests.bench.peers.sample_like import Processor


class OneByOne(Processor):
    """A row and a metric at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._cloudwatch = boto3.client("cloudwatch")

    def process_records(self, process_records_input: Any) -> None:
        for record in process_records_input.records:
            item = json.loads(record.binary_data)
            self._table.put_item(Item=item)
            datum = {"MetricName": "SensorData", "Value": item["humidity"], "Unit": "None"}
            self._cloudwatch.put_metric_data(Namespace="Sensor", MetricData=[datum])


if __name__ == "__main__":
    kcl.KCLProcess(OneByOne()).run()
