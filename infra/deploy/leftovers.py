"""What CloudFormation neither makes nor deletes: data, images, queues, logs and artifacts. Each function removes one
kind of it, says nothing where there is none, and may be repeated."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3

from infra.deploy.cloudformation import DeployError

Say = Callable[[str], None]
SAY_EVERY = 50  # pages of 1,000 objects


def remove_bucket(session: boto3.Session, bucket: str, say: Say) -> None:
    """Every version of every object, then the bucket."""
    s3 = session.client("s3")
    removed = 0
    try:
        for number, page in enumerate(s3.get_paginator("list_object_versions").paginate(Bucket=bucket), 1):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}) if objects else {}
            for error in answer.get("Errors", []):
                raise DeployError(f"s3://{bucket}/{error.get('Key')} cannot be deleted: {error.get('Message')}")
            removed += len(objects)
            if number % SAY_EVERY == 0:
                say(f"{removed:,} objects of {bucket} are gone")
        s3.delete_bucket(Bucket=bucket)
    except s3.exceptions.NoSuchBucket:
        return
    say(f"deleted     bucket {bucket} with {removed:,} objects")


def remove_table(session: boto3.Session, table: str, say: Say) -> None:
    """The table with its rows."""
    dynamodb = session.client("dynamodb")
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 2})
        say(f"deleted     table {table}")


def remove_images(session: boto3.Session, repository: str, say: Say) -> None:
    """All images of a repository, by its name."""
    ecr = session.client("ecr")
    with suppress(ecr.exceptions.RepositoryNotFoundException):
        pages = list(ecr.get_paginator("list_images").paginate(repositoryName=repository))
        digests = sorted({each["imageDigest"] for page in pages for each in page["imageIds"]})
        for start in range(0, len(digests), 100):
            batch: Any = [{"imageDigest": digest} for digest in digests[start : start + 100]]
            ecr.batch_delete_image(repositoryName=repository, imageIds=batch)
        if digests:
            say(f"deleted     {len(digests)} images")


def remove_consumers(session: boto3.Session, stream: str, kept: set[str], say: Say) -> None:
    """The stream's registered consumers but those `kept` (ARNs), which belong to a stack."""
    kinesis = session.client("kinesis")
    with suppress(kinesis.exceptions.ResourceNotFoundException):
        pages = list(kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=stream))
        for consumer in (each for page in pages for each in page["Consumers"] if each["ConsumerARN"] not in kept):
            kinesis.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
            say(f"deleted     stream consumer {consumer['ConsumerName']}")


def remove_queues(session: boto3.Session, queue: str, prefix: str, topic: str, say: Say) -> None:
    """A queue by its name, those subscribed to the topic whose names begin with the prefix, and their subscriptions to
    the topic, which may be gone."""
    sqs, sns = session.client("sqs"), session.client("sns")
    queues = {queue}
    with suppress(sns.exceptions.NotFoundException):  # of a stack that is half gone; its subscriptions went with it
        pages = list(sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
        for subscription in (each for page in pages for each in page["Subscriptions"]):
            name = subscription.get("Endpoint", "").rpartition(":")[2]
            if subscription.get("Protocol") == "sqs" and (name == queue or name.startswith(prefix)):
                queues.add(name)
                sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    for name in sorted(queues):
        with suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
            say(f"deleted     queue {name}")


def stop_tasks(session: boto3.Session, cluster: str, family: str, say: Say) -> None:
    """The family's tasks that run now: they belong to no service, and ECS keeps a cluster that has some."""
    ecs = session.client("ecs")
    with suppress(ecs.exceptions.ClusterNotFoundException):
        tasks = ecs.list_tasks(cluster=cluster, family=family)["taskArns"]
        for task in tasks:
            ecs.stop_task(cluster=cluster, task=task, reason="the deployment is destroyed")
        if tasks:
            ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=tasks, WaiterConfig={"Delay": 2})
            say(f"stopped     {len(tasks)} tasks of {family}")


def remove_logs(session: boto3.Session, groups: list[str], say: Say) -> None:
    """Log groups that AWS services create on their own."""
    logs = session.client("logs")
    for group in groups:
        with suppress(logs.exceptions.ResourceNotFoundException):
            logs.delete_log_group(logGroupName=group)
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
