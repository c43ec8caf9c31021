"""All that an account holds, as the services themselves list it: compared before a deployment and after its end."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3

Lister = Callable[[boto3.Session], Iterator[str]]


def inventory(session: boto3.Session) -> set[str]:
    """`kind name` of everything, in all services that a deployment uses."""
    return {f"{kind} {name}" for kind, lister in LISTERS.items() for name in lister(session)}


def _pages(service: str, operation: str, key: str, name: str | None, **request: Any) -> Lister:
    """Names of what one operation lists: members `name` of its list `key`, or the list's members themselves."""

    def listed(session: boto3.Session) -> Iterator[str]:
        client = session.client(service)
        if client.can_paginate(operation):
            answers = client.get_paginator(operation).paginate(**request)
        else:
            answers = [getattr(client, operation)(**request)]
        for answer in answers:
            for found in answer.get(key) or []:
                yield found[name] if name else found

    return listed


def _stream_consumers(session: boto3.Session) -> Iterator[str]:
    kinesis = session.client("kinesis")
    for name in LISTERS["stream"](session):
        arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
        for consumer in kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]:
            yield consumer["ConsumerARN"]


def _role_policies(session: boto3.Session) -> Iterator[str]:
    iam = session.client("iam")
    for role in LISTERS["iam-role"](session):
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            yield f"{role}/{policy}"


def _ecs_services(session: boto3.Session) -> Iterator[str]:
    ecs = session.client("ecs")
    for cluster in LISTERS["ecs-cluster"](session):
        yield from ecs.list_services(cluster=cluster)["serviceArns"]


def _keys(session: boto3.Session) -> Iterator[str]:
    """A key that is deleted waits for some days, without a charge, until it is gone."""
    kms = session.client("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
                yield key["KeyId"]


def _scaling(operation: str, key: str, name: str) -> Lister:
    return _pages("application-autoscaling", operation, key, name, ServiceNamespace="ecs")


def _own(filters: str) -> Any:
    """The account's default network belongs to no deployment."""
    return {"Filters": [{"Name": filters, "Values": ["false"]}]}


LISTERS: dict[str, Lister] = {
    "stack": _pages("cloudformation", "describe_stacks", "Stacks", "StackName"),
    "bucket": _pages("s3", "list_buckets", "Buckets", "Name"),
    "table": _pages("dynamodb", "list_tables", "TableNames", None),
    "database": _pages("glue", "get_databases", "DatabaseList", "Name"),
    "workgroup": _pages("athena", "list_work_groups", "WorkGroups", "Name"),
    "stream": _pages("kinesis", "list_streams", "StreamNames", None),
    "stream-consumer": _stream_consumers,
    "schedule": _pages("events", "list_rules", "Rules", "Name"),
    "function": _pages("lambda", "list_functions", "Functions", "FunctionName"),
    "http-api": _pages("apigatewayv2", "get_apis", "Items", "ApiId"),
    "event-source": _pages("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    "iam-role": _pages("iam", "list_roles", "Roles", "RoleName"),
    "iam-role-policy": _role_policies,
    "iam-policy": _pages("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
    "thing": _pages("iot", "list_things", "things", "thingName"),
    "certificate": _pages("iot", "list_certificates", "certificates", "certificateId"),
    "iot-policy": _pages("iot", "list_policies", "policies", "policyName"),
    "iot-rule": _pages("iot", "list_topic_rules", "rules", "ruleName"),
    "topic": _pages("sns", "list_topics", "Topics", "TopicArn"),
    "subscription": _pages("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    "queue": _pages("sqs", "list_queues", "QueueUrls", None),
    "parameter": _pages("ssm", "describe_parameters", "Parameters", "Name"),
    "log-group": _pages("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "ecs-cluster": _pages("ecs", "list_clusters", "clusterArns", None),
    "ecs-service": _ecs_services,
    "task-definition": _pages("ecs", "list_task_definitions", "taskDefinitionArns", None, status="ACTIVE"),
    "scalable-target": _scaling("describe_scalable_targets", "ScalableTargets", "ResourceId"),
    "scaling-policy": _scaling("describe_scaling_policies", "ScalingPolicies", "PolicyARN"),
    "repository": _pages("ecr", "describe_repositories", "repositories", "repositoryName"),
    "vpc": _pages("ec2", "describe_vpcs", "Vpcs", "VpcId", **_own("is-default")),
    "subnet": _pages("ec2", "describe_subnets", "Subnets", "SubnetId", **_own("default-for-az")),
    "vpc-endpoint": _pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "security-group": _pages("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "route-table": _pages("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    "internet-gateway": _pages("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "network-interface": _pages("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    "alarm": _pages("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboard": _pages("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "namespace": _pages("servicediscovery", "list_namespaces", "Namespaces", "Id"),
    "discovery-service": _pages("servicediscovery", "list_services", "Services", "Id"),
    "kms-alias": _pages("kms", "list_aliases", "Aliases", "AliasName"),
    "kms-key": _keys,
}
