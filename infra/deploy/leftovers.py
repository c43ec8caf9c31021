"""What CloudFormation neither makes nor takes away: data, images, queues, logs and artifacts. Each function removes one
kind of it, says nothing where there is none, and may be repeated."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeployError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Say = Callable[[str], None]
SAY_EVERY = 50_000  # objects


def remove_bucket(session: boto3.Session, bucket: str, say: Say) -> None:
    """Every version of every object, then the bucket."""
    s3 = session.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return
        raise
    removed = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        _remove_objects(s3, bucket, [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found])
        if (removed + len(found)) // SAY_EVERY > removed // SAY_EVERY:
            say(f"{removed + len(found):,} objects of {bucket} are gone")
        removed += len(found)
    s3.delete_bucket(Bucket=bucket)
    say(f"deleted     bucket {bucket} with {removed:,} objects")


def _remove_objects(s3: "S3Client", bucket: str, objects: list[Any]) -> None:
    if not objects:
        return
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    for error in answer.get("Errors", []):
        raise DeployError(f"s3://{bucket}/{error.get('Key')} cannot be deleted: {error.get('Message')}")


def remove_table(session: boto3.Session, table: str, say: Say) -> None:
    """The table with its rows."""
    dynamodb = session.client("dynamodb")
    try:
        dynamodb.delete_table(TableName=table)
    except dynamodb.exceptions.ResourceNotFoundException:
        return
    dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 2})
    say(f"deleted     table {table}")


def remove_images(session: boto3.Session, repository: str, say: Say) -> None:
    """All images of a repository, by its name."""
    ecr = session.client("ecr")
    removed = 0
    try:
        pages = list(ecr.get_paginator("list_images").paginate(repositoryName=repository))
    except ecr.exceptions.RepositoryNotFoundException:
        return
    for page in pages:
        digests = sorted({each["imageDigest"] for each in page["imageIds"]})
        for start in range(0, len(digests), 100):
            batch: Any = [{"imageDigest": digest} for digest in digests[start : start + 100]]
            removed += len(batch)
            ecr.batch_delete_image(repositoryName=repository, imageIds=batch)
    if removed:
        say(f"deleted     {removed} images")


def remove_consumers(session: boto3.Session, stream: str, kept: set[str], say: Say) -> None:
    """The stream's registered consumers but those `kept` (ARNs), which belong to a stack."""
    kinesis = session.client("kinesis")
    try:
        pages = list(kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=stream))
    except kinesis.exceptions.ResourceNotFoundException:
        return
    for page in pages:
        for consumer in page["Consumers"]:
            if consumer["ConsumerARN"] not in kept:
                kinesis.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
                say(f"deleted     stream consumer {consumer['ConsumerName']}")


def remove_queue(session: boto3.Session, queue: str, topic: str, say: Say) -> None:
    """A queue by its name, and its subscription to the topic, which may be gone."""
    sqs, sns = session.client("sqs"), session.client("sns")
    try:
        pages = list(sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    except sns.exceptions.NotFoundException:  # of a stack that is half gone; its subscriptions went with it
        pages = []
    for page in pages:
        for subscription in page["Subscriptions"]:
            if subscription.get("Endpoint", "").endswith(f":{queue}"):
                sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    try:
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return
    sqs.delete_queue(QueueUrl=url)
    say(f"deleted     queue {queue}")


def remove_logs(session: boto3.Session, groups: list[str], say: Say) -> None:
    """Log groups that the services make by themselves."""
    logs = session.client("logs")
    for group in groups:
        try:
            logs.delete_log_group(logGroupName=group)
        except logs.exceptions.ResourceNotFoundException:
            continue
        say(f"deleted     log group {group}")


def remove_parameters(session: boto3.Session, prefix: str, say: Say) -> None:
    """Parameters below a prefix."""
    ssm = session.client("ssm")
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix))
    names = [parameter["Name"] for page in pages for parameter in page["Parameters"]]
    for start in range(0, len(names), 10):
        ssm.delete_parameters(Names=names[start : start + 10])
    if names:
        say(f"deleted     {len(names)} parameters below {prefix}")
