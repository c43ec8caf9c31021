"""The checks of `producer doctor`, part by part: each asks one service what the operator's commands will ask.

What they need is in the operator's role; docs/operations.md lists it.
"""

import email.utils
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from consumer.archive.format import READINGS
from consumer.aws.codes import code
from producer.aws.stack import Stack
from producer.aws.stream_reader import require_readable
from producer.compact.check import compaction
from producer.ops import query_checks
from producer.ops.doctor import Check, is_local

SKEW_SECONDS = 60.0  # signatures are refused from 300 on
CONNECT_SECONDS = 5.0
NEARLY = 0.8  # of a quota
FEW_CALLS = 50  # concurrent executions; a new account may have ten
ASK_OPERATOR = "take on the stack's operator role (output OperatorRoleArn), or have this right given to yours"
WELL = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
SUFFIXES = ("", "-network", "-service")


def identity(session: boto3.Session) -> Iterator[Check]:
    """Who asks, with credentials from where, and whether this machine's clock is right."""
    session.client("ssm")  # NoRegionError; without a region STS would answer
    answer = session.client("sts").get_caller_identity()
    credentials = session.get_credentials()
    source = credentials.method if credentials else "nowhere"
    yield Check("identity", "ok", f"{answer['Arn']} in {session.region_name} (credentials from {source})")
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        yield Check("clock", "skipped", "the answer has no date")
        return
    skew = time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's"
    if abs(skew) > SKEW_SECONDS:
        yield Check("clock", "finding", detail, "let NTP set this machine's clock; AWS refuses from five minutes on")
    else:
        yield Check("clock", "ok", detail if abs(skew) >= 2 else "as AWS's")


def stacks(stack: Stack) -> Iterator[Check]:
    """Whether the three stacks of the deployment are in a good state."""
    client = stack.session.client("cloudformation")
    for suffix in SUFFIXES:
        name = f"stack {stack.name}{suffix}"
        try:
            [found] = client.describe_stacks(StackName=stack.name + suffix)["Stacks"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            if suffix == "-service" and not is_local():
                yield Check(name, "finding", "is not there: no consumer, no alarms", "deploy it: make deploy")
            else:
                yield Check(name, "skipped", "is not there")
            continue
        good = found["StackStatus"] in WELL
        remedy = "" if good else "aws cloudformation describe-stack-events shows why; then deploy again"
        yield Check(name, "ok" if good else "finding", found["StackStatus"], remedy)


def stream(stack: Stack) -> Iterator[Check]:
    """The stream, and whether it can be read."""
    kinesis = stack.session.client("kinesis")
    summary = kinesis.describe_stream_summary(StreamName=stack.stream)["StreamDescriptionSummary"]
    require_readable(stack.session, stack.stream)
    shards, hours = summary["OpenShardCount"], summary["RetentionPeriodHours"]
    good = summary["StreamStatus"] == "ACTIVE"
    detail = f"{summary['StreamStatus']}, {shards} open shards, kept {hours} h; it can be read"
    yield Check("stream", "ok" if good else "finding", detail, "" if good else "wait until it is ACTIVE")


def endpoint(stack: Stack) -> Iterator[Check]:
    """Whether devices on this machine would reach IoT Core."""
    where = f"{stack.iot_host}:{stack.iot_port}"
    try:
        socket.create_connection((stack.iot_host, stack.iot_port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        remedy = "a simulator here needs a way out to it: DNS, the firewall's port 8883; devices have their own"
        yield Check("endpoint", "finding", f"no connection from here to {where}: {error.strerror or error}", remedy)
    else:
        yield Check("endpoint", "ok", f"{where} takes connections of devices")


def tables(stack: Stack) -> Iterator[Check]:
    """The readings' table and the leases."""
    client = stack.session.client("dynamodb")
    status = client.describe_table(TableName=stack.table)["Table"]["TableStatus"]
    good = status == "ACTIVE"
    yield Check("table", "ok" if good else "finding", status, "" if good else "wait until it is ACTIVE")
    rows = client.scan(TableName=f"{stack.name}-consumer", Limit=100)["Items"]
    owned = sum("leaseOwner" in row for row in rows)
    if rows and owned:
        yield Check("leases", "ok", f"{owned} of {len(rows)} leases looked at have an owner")
    else:
        detail = "no shard has an owner: nothing is read" if rows else "none: no consumer has ever run"
        yield Check("leases", "finding", detail, "start the consumer, and look into its log (docs/operations.md)")


def archive(stack: Stack) -> Iterator[Check]:
    """The bucket, and whether its keys can be listed."""
    found = stack.session.client("s3").list_objects_v2(Bucket=stack.bucket, Prefix=READINGS, MaxKeys=1)
    yield Check("archive", "ok", "it can be listed" + ("" if found.get("KeyCount") else "; no archive object yet"))


def undelivered(stack: Stack) -> Iterator[Check]:
    """The queue of what the rules and the alert function could not deliver."""
    client = stack.session.client("sqs")
    url = client.get_queue_url(QueueName=stack.undelivered_queue)["QueueUrl"]
    attribute = "ApproximateNumberOfMessages"
    count = int(client.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])["Attributes"][attribute])
    remedy = f".venv/bin/sensorstream redrive --undelivered --stack {stack.name} shows why" if count else ""
    yield Check("undelivered", "finding" if count else "ok", f"{count} messages in the queue", remedy)


def subscriptions(stack: Stack) -> Iterator[Check]:
    """Who hears alerts and alarms. Without an address there is no finding: none was asked for."""
    pages = (
        stack.session.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=stack.alert_topic)
    )
    found = [each for page in pages for each in page["Subscriptions"]]
    pending = [each["Endpoint"] for each in found if each["SubscriptionArn"] == "PendingConfirmation"]
    if pending:
        remedy = (
            "open the link in the mail that AWS sent there; it holds for three days, then deploy or subscribe again"
        )
        yield Check("alerts", "finding", f"{', '.join(pending)}: not confirmed, hears nothing", remedy)
    elif found:
        yield Check("alerts", "ok", f"{len(found)} confirmed subscriptions")
    else:
        yield Check(
            "alerts", "skipped", "no one is subscribed to alerts and alarms; SNSEmail=... makes an address hear"
        )


def tasks(stack: Stack) -> Iterator[Check]:
    """The consumer's tasks run, with an image that is there."""
    if is_local():
        yield Check("tasks", "skipped", "the emulator keeps tasks as records only; the consumer is a process here")
        return
    client = stack.session.client("ecs")
    answer = client.describe_services(cluster=stack.name, services=["consumer"])
    if not answer["services"]:
        yield Check("tasks", "finding", "there is no service `consumer`", "deploy it: make deploy")
        return
    [service] = answer["services"]
    detail = f"{service['runningCount']} of {service['desiredCount']} tasks run"
    if 0 < service["desiredCount"] <= service["runningCount"]:
        yield Check("tasks", "ok", detail)
        return
    event = service["events"][0]["message"] if service["events"] else "no event shows why"
    remedy = "an image that cannot be pulled or a failing start stands in the events and the log (docs/operations.md)"
    yield Check("tasks", "finding", f"{detail}: {event}", remedy)


def alarms(stack: Stack) -> Iterator[Check]:
    """Alarms ring, or watch metrics that have never had data although that would be an alarm."""
    client = stack.session.client("cloudwatch")
    pages = client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{stack.name}-", AlarmTypes=["MetricAlarm"]
    )
    found = [each for page in pages for each in page["MetricAlarms"]]
    if not found:
        state = ("skipped", "") if is_local() else ("finding", "deploy the service's stack: make deploy")
        yield Check("alarms", state[0], "there are none", state[1])  # type: ignore[arg-type]
        return
    ringing = sorted(each["AlarmName"] for each in found if each.get("StateValue") == "ALARM")
    if is_local():
        yield Check("alarms", "skipped", f"{len(found)} alarms; the emulator has no metrics of AWS's services")
        return
    if ringing:
        yield Check("alarms", "finding", f"ringing: {', '.join(ringing)}", "docs/operations.md has a section for each")
    empty = [text for each in found if each.get("TreatMissingData") != "notBreaching" for text in _empty(client, each)]
    if empty:
        remedy = "minutes after a first start this is normal; else dimension and metric do not fit: deploy again"
        yield Check("alarm metrics", "finding", f"no data: {'; '.join(sorted(set(empty)))}", remedy)
    if not ringing and not empty:
        yield Check("alarms", "ok", f"{len(found)}, none rings, all that must have data have it")


def _empty(client: Any, alarm: Any) -> Iterator[str]:
    """The metrics of an alarm that CloudWatch does not know."""
    single = [alarm] if "MetricName" in alarm else []
    metrics = [*single, *(each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each)]
    for metric in metrics:
        dimensions = [{"Name": d["Name"], "Value": d["Value"]} for d in metric.get("Dimensions", [])]
        known = client.list_metrics(
            Namespace=metric["Namespace"], MetricName=metric["MetricName"], Dimensions=dimensions
        )
        if not known["Metrics"]:
            shown = ",".join(f"{d['Name']}={d['Value']}" for d in dimensions)
            yield f"{metric['Namespace']} {metric['MetricName']} {shown}".rstrip()


def quotas(stack: Stack) -> Iterator[Check]:
    """Quotas of the account that a first deployment may reach; a missing permission to read them is not a finding."""
    try:
        limits = stack.session.client("kinesis").describe_limits()
    except ClientError as error:
        yield Check("quota: shards", "skipped", f"cannot be asked ({code(error)})")
    else:
        used, most = limits["OpenShardCount"], limits["ShardLimit"]
        full = used >= NEARLY * most
        remedy = "ask for more shards in the Service Quotas console" if full else ""
        yield Check("quota: shards", "finding" if full else "ok", f"{used} of {most} shards of the region", remedy)
    try:
        most = stack.session.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    except ClientError as error:
        yield Check("quota: functions", "skipped", f"cannot be asked ({code(error)})")
        return
    few = most < FEW_CALLS
    remedy = "alerts queue up beyond that; ask for more in the Service Quotas console" if few else ""
    yield Check("quota: functions", "finding" if few else "ok", f"{most} calls at once", remedy)


PARTS: list[tuple[str, str, Callable[[Stack], Iterator[Check]]]] = [
    ("stacks", ASK_OPERATOR, stacks),
    ("stream", ASK_OPERATOR, stream),
    ("endpoint", ASK_OPERATOR, endpoint),
    ("table", ASK_OPERATOR, tables),
    ("archive", ASK_OPERATOR, archive),
    ("compaction", ASK_OPERATOR, compaction),
    ("query", ASK_OPERATOR, query_checks.function),
    ("query API", ASK_OPERATOR, query_checks.over_http),
    ("undelivered", ASK_OPERATOR, undelivered),
    ("alerts", ASK_OPERATOR, subscriptions),
    ("tasks", ASK_OPERATOR, tasks),
    ("alarms", ASK_OPERATOR, alarms),
    ("quotas", ASK_OPERATOR, quotas),
]
"""Name, the remedy when it cannot be asked, and the check."""
