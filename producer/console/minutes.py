"""What CloudWatch knows of a deployment, minute by minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

from producer.aws.stack import Stack

NAMESPACE = "Sensor"
SPAN = timedelta(minutes=15)


class Minutes:
    """The last quarter of an hour."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.session.client("cloudwatch")
        application = {"Application": f"{stack.name}-consumer"}
        self._queries = {
            "records": ("AWS/Kinesis", "IncomingRecords", {"StreamName": stack.stream}, "Sum"),
            "rows_written": (NAMESPACE, "RowsWritten", application, "Sum"),
            "archive_objects": (NAMESPACE, "ArchiveObjectsStored", application, "Sum"),
            "dead_letter_records": (NAMESPACE, "DeadLetterRecords", application, "Sum"),
            "lag": (NAMESPACE, "LagSeconds", application, "Maximum"),
            "owned": (NAMESPACE, "OwnedShards", application, "Maximum"),
            "alerts_sent": ("AWS/Lambda", "Invocations", {"FunctionName": stack.alert_function}, "Sum"),
            "throttles": ("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": stack.table}, "Sum"),
        }

    def read(self) -> dict[str, list[dict[str, float]]]:
        """By name the points `{"at": ms, "value"}`, oldest first."""
        now = datetime.now(UTC)
        queries: Any = [
            {
                "Id": f"q{number}",
                "Label": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": metric,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    },
                    "Period": 60,
                    "Stat": statistic,
                },
            }
            for number, (name, (namespace, metric, dimensions, statistic)) in enumerate(self._queries.items())
        ]
        answer = self._client.get_metric_data(
            MetricDataQueries=queries, StartTime=now - SPAN, EndTime=now, ScanBy="TimestampAscending"
        )
        return {
            result["Label"]: [
                {"at": at.timestamp() * 1000, "value": value}
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            ]
            for result in answer["MetricDataResults"]
        }
