"""Resource types and properties that the emulator does not know."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Running

SERVICE: dict[str, Any] = {
    "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "scaled"}},
    "Task": {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {"Family": "scaled", "ContainerDefinitions": [{"Name": "c", "Image": "i", "Memory": 128}]},
    },
    "Service": {
        "Type": "AWS::ECS::Service",
        "Properties": {
            "Cluster": {"Ref": "Cluster"},
            "ServiceName": "scaled",
            "DesiredCount": "0",
            "TaskDefinition": {"Ref": "Task"},
            "PropagateTags": "SERVICE",
        },
    },
    "Target": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "DependsOn": "Service",
        "Properties": {
            "ResourceId": "service/scaled/scaled",
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "MinCapacity": "1",
            "MaxCapacity": "3",
        },
    },
    "Policy": {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "steps",
            "PolicyType": "StepScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"},
        },
    },
}
STREAM: dict[str, Any] = {
    "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
    "Consumer": {
        "Type": "AWS::Kinesis::StreamConsumer",
        "Properties": {"StreamARN": {"Fn::GetAtt": ["Stream", "Arn"]}, "ConsumerName": "reader"},
    },
}


def deploy(aws: Running, name: str, resources: dict[str, Any], change: bool = False) -> None:
    formation = aws.client("cloudformation")
    action, done = ("update_stack", "stack_update_complete") if change else ("create_stack", "stack_create_complete")
    getattr(formation, action)(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    formation.get_waiter(done).wait(StackName=name, WaiterConfig={"Delay": 1})


def test_scaling_targets_and_policies_are_made_and_shown(aws: Running, name: str) -> None:
    deploy(aws, name, SERVICE)
    [service] = aws.client("ecs").describe_services(cluster="scaled", services=["scaled"])["services"]
    assert (service["desiredCount"], service["propagateTags"]) == (0, "SERVICE")
    scaling = aws.client("application-autoscaling")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == ("service/scaled/scaled", 1, 3)
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert (policy["PolicyName"], policy["PolicyType"]) == ("steps", "StepScaling")
    with pytest.raises(ClientError, match="UnknownOperation"):
        scaling.describe_scheduled_actions(ServiceNamespace="ecs")
    aws.client("cloudformation").delete_stack(StackName=name)
    aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_a_streams_consumer_is_registered_and_its_shard_count_followed(aws: Running, name: str) -> None:
    deploy(aws, name, STREAM)
    kinesis = aws.client("kinesis")
    resource = aws.client("cloudformation").describe_stack_resource(StackName=name, LogicalResourceId="Stream")
    stream = resource["StackResourceDetail"]["PhysicalResourceId"]
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    [consumer] = kinesis.list_stream_consumers(StreamARN=summary["StreamARN"])["Consumers"]
    assert (consumer["ConsumerName"], consumer["ConsumerStatus"]) == ("reader", "ACTIVE")
    more = {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 2}}
    deploy(aws, name, STREAM | {"Stream": more}, change=True)
    assert kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"] == 2


def test_a_condition_may_compute_with_text(aws: Running, name: str) -> None:
    second = {"Fn::Select": [1, {"Fn::Split": [",", {"Fn::Sub": "${Topics},"}]}]}
    template = {
        "Parameters": {"Topics": {"Type": "String", "Default": "a"}},
        "Conditions": {"Second": {"Fn::Not": [{"Fn::Equals": [second, ""]}]}},
        "Resources": {
            "First": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-1"}},
            "Other": {"Type": "AWS::SQS::Queue", "Condition": "Second", "Properties": {"QueueName": f"{name}-2"}},
        },
    }
    formation, sqs = aws.client("cloudformation"), aws.client("sqs")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert len(sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]) == 1
    given = [{"ParameterKey": "Topics", "ParameterValue": "a,b"}]
    formation.update_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=given)
    formation.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert len(sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]) == 2


def test_a_saved_query_comes_and_goes_with_its_stack(aws: Running) -> None:
    athena, formation = aws.client("athena"), aws.client("cloudformation")
    properties = {"Name": "one", "Database": "default", "QueryString": "SELECT 1", "WorkGroup": "primary"}
    deploy(aws, "saved", {"Query": {"Type": "AWS::Athena::NamedQuery", "Properties": properties}})
    [made] = athena.list_named_queries(WorkGroup="primary")["NamedQueryIds"]
    assert athena.get_named_query(NamedQueryId=made)["NamedQuery"] == properties | {
        "NamedQueryId": made,
        "Description": "",
    }
    properties["QueryString"] = "SELECT 2"
    deploy(aws, "saved", {"Query": {"Type": "AWS::Athena::NamedQuery", "Properties": properties}}, change=True)
    [changed] = athena.list_named_queries(WorkGroup="primary")["NamedQueryIds"]
    assert athena.get_named_query(NamedQueryId=changed)["NamedQuery"]["QueryString"] == "SELECT 2"
    formation.delete_stack(StackName="saved")
    formation.get_waiter("stack_delete_complete").wait(StackName="saved", WaiterConfig={"Delay": 1})
    assert athena.list_named_queries(WorkGroup="primary")["NamedQueryIds"] == []
