"""How many hours are not compacted, as a metric of CloudWatch: the alarms on the schedule go by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from producer.aws.stack import Stack
from producer.compact.run import Compacted

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef

METRIC: Final = "HoursNotCompacted"


@contextmanager
def sent(stack: Stack, namespace: str, report: Compacted) -> Iterator[None]:
    """Sends the report's number at the end; when a run breaks off, the hour at which it did counts, too."""
    broken = 1
    try:
        yield
        broken = 0
    finally:
        client: CloudWatchClient = stack.session.client("cloudwatch")
        datum: MetricDatumTypeDef = {
            "MetricName": METRIC,
            "Dimensions": [{"Name": "Application", "Value": f"{stack.name}-consumer"}],
            "Unit": "Count",
            "Value": len(report.missing) + broken,
        }
        client.put_metric_data(Namespace=namespace, MetricData=[datum])
