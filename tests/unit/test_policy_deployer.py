"""What the deployer's roles may do, against what CloudFormation says it needs for each type of resource.

The needs are those of the types' own handlers, as the schemas that cfn-lint brings along declare them.
"""

import fnmatch
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.unit.policies import RESOURCES, TEMPLATES, listed, of, statements, text

_cfnlint = find_spec("cfnlint")
assert _cfnlint
assert _cfnlint.origin
SCHEMAS = Path(_cfnlint.origin).parent / "data/schemas"
# Handlers name what any property of their type may need; these are for properties that no template uses.
UNUSED = {
    "AWS::ApiGatewayV2::Api": "s3:*",
    "AWS::ApiGatewayV2::Integration": "iam:PassRole",
    # IAM has no such actions: tags are resources of apigateway:POST, PUT and DELETE.
    "AWS::ApiGatewayV2::Stage": "apigateway:*agResource",
    "AWS::ApplicationAutoScaling::ScalableTarget": "*ScheduledAction cloudwatch:* iam:PassRole lambda:*",
    # CreateWorkGroup does not look at where results will be; the rest is for Spark and managed results.
    "AWS::Athena::WorkGroup": "iam:* kms:* s3:*",
    "AWS::DynamoDB::Table": """dynamodb:*Item dynamodb:*Replica dynamodb:*Import*
        dynamodb:ImportTable dynamodb:Query dynamodb:Scan dynamodb:PutResourcePolicy dynamodb:DeleteResourcePolicy
        dynamodb:*ableKinesisStreamingDestination dynamodb:UpdateKinesisStreamingDestination
        dynamodb:UpdateContributorInsights iam:* kinesis:* logs:* s3:* kms:ListAliases""",
    "AWS::EC2::Subnet": "ec2:*SubnetCidrBlock",
    "AWS::EC2::VPC": "ec2:CreateVpcEncryptionControl ec2:ModifyVpcTenancy",
    "AWS::EC2::VPCEndpoint": "vpc-lattice:* vpce:*",
    "AWS::EC2::VPCGatewayAttachment": "ec2:*VpnGateway*",
    "AWS::ECR::Repository": "ecr:*RepositoryPolicy",
    "AWS::ECS::Cluster": "ecs:PutAccountSetting* ecs:PutClusterCapacityProviders",
    # A catalog that Lake Formation governs is its administrator's to open (docs/analytics.md).
    "AWS::Glue::Database": "glue:*Connection lakeformation:*",
    "AWS::Glue::Table": "glue:GetSchemaVersion glue:PassConnection iam:PassRole lakeformation:* s3:*",
    "AWS::IAM::Policy": "iam:*GroupPolicy iam:*UserPolicy",
    "AWS::IAM::Role": "iam:AttachRolePolicy iam:DetachRolePolicy iam:*PermissionsBoundary",
    "AWS::Kinesis::Stream": """kinesis:*EnhancedMonitoring kinesis:UpdateMaxRecordSize
        kinesis:UpdateStreamRecordDistributionStrategy kinesis:UpdateStreamWarmThroughput""",
    "AWS::Lambda::Function": """ec2:* elasticfilesystem:* s3files:* lambda:*Concurrency lambda:PutFunctionScalingConfig
        lambda:PutFunctionRecursionConfig lambda:PutRuntimeManagementConfig lambda:PutFunctionCodeSigningConfig
        lambda:DeleteFunctionCodeSigningConfig lambda:GetCodeSigningConfig lambda:GetLayerVersion
        lambda:PassCapacityProvider lambda:PublishVersion lambda:AssociateRuntimeAlias""",
    "AWS::Logs::LogGroup": """firehose:* s3:* logs:*DataProtectionPolicy logs:*IndexPolicy logs:*ResourcePolicy
        logs:CreateLogDelivery logs:PutBearerTokenAuthentication logs:PutLogGroupDeletionProtection""",
    "AWS::S3::Bucket": """iam:PassRole s3:CreateBucketMetadata* s3:DeleteBucketMetadata* s3:UpdateBucketMetadata*
        s3:DeleteBucketAnalyticsConfiguration
        s3:DeleteBucketCors s3:DeleteBucketEncryption s3:DeleteBucketLifecycle s3:DeleteBucketMetricsConfiguration
        s3:DeleteBucketReplication s3:DeleteBucketWebsite s3:DeleteObject s3:PutAccelerateConfiguration
        s3:PutAnalyticsConfiguration s3:PutBucketAbac s3:PutBucketAcl s3:PutBucketCORS s3:PutBucketLogging
        s3:PutBucketNotification s3:PutBucketObjectLockConfiguration s3:PutBucketReplication s3:PutBucketVersioning
        s3:PutBucketWebsite s3:PutIntelligentTieringConfiguration s3:PutInventoryConfiguration
        s3:PutMetricsConfiguration s3:PutObjectAcl s3:PutObjectLockConfiguration s3:PutReplicationConfiguration
        s3tables:*""",
    "AWS::SNS::Subscription": "iam:*",
    "AWS::SNS::Topic": "iam:* sns:PutDataProtectionPolicy",
    "AWS::ServiceDiscovery::Service": "servicediscovery:UpdateServiceAttributes",
}
ROLES = ("ServiceRole", "DeployerRole")
LARGEST = 6144  # characters of a managed policy, blanks not counted


def granted(role: str) -> set[str]:
    policies = [each for each in of("AWS::IAM::ManagedPolicy") if {"Ref": role} in each.properties["Roles"]]
    return {
        action
        for policy in policies
        for statement in statements(policy)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    }


def needed(kind: str) -> Iterator[str]:
    """What the handlers of a type ask for, but for listing, which CloudFormation does not do in a deployment."""
    index = json.loads((SCHEMAS / "providers/eu-central-1.json").read_text())
    schema: dict[str, Any] = json.loads((SCHEMAS / f"resources/{index[kind]}.json").read_text())
    for handler, declared in schema["handlers"].items():
        if handler != "list":
            yield from declared["permissions"]


def used(kind: str, action: str) -> bool:
    return not any(fnmatch.fnmatchcase(action, pattern) for pattern in UNUSED.get(kind, "").split())


@pytest.mark.parametrize(
    "kind",
    sorted({each.kind for each in RESOURCES if each.template != "deployer" and not each.kind.startswith("Custom::")}),
)
def test_cloudformation_may_do_what_a_type_needs(kind: str) -> None:
    wanted = {action for action in needed(kind) if used(kind, action)}
    assert wanted, "nothing is left to check"
    assert wanted - granted("ServiceRole") == set()


@pytest.mark.parametrize("kind", sorted(UNUSED))
def test_what_is_called_unused_is_asked_for_by_the_type(kind: str) -> None:
    actions = set(needed(kind))
    assert [pattern for pattern in UNUSED[kind].split() if not fnmatch.filter(actions, pattern)] == []


def test_a_deployment_is_possible_only_in_the_service_role() -> None:
    [deploy] = [each for each in of("AWS::IAM::ManagedPolicy") if each.name == "DeployPolicy"]
    [denied] = [statement for statement in statements(deploy) if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"StringNotEquals": {"cloudformation:RoleArn": {"Fn::GetAtt": "ServiceRole.Arn"}}}
    changing = {"cloudformation:CreateChangeSet", "cloudformation:CreateStack", "cloudformation:DeleteStack"}
    assert changing <= set(denied["Action"])
    assert not {action for action in granted("DeployerRole") if action.startswith("iam:")} - {"iam:PassRole"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_be_passed_only_to_services_that_need_one(role: str) -> None:
    for policy in of("AWS::IAM::ManagedPolicy"):
        for statement in statements(policy):
            if "iam:PassRole" in listed(statement["Action"]) and {"Ref": role} in policy.properties["Roles"]:
                assert statement["Condition"]["StringEquals"]["iam:PassedToService"]


@pytest.mark.parametrize("policy", [each.name for each in of("AWS::IAM::ManagedPolicy")])
def test_a_policy_is_not_longer_than_iam_takes(policy: str) -> None:
    document = TEMPLATES["deployer"]["Resources"][policy]["Properties"]["PolicyDocument"]
    written = json.dumps(document, separators=(",", ":"))
    longest = {"${AWS::Partition}": "aws-us-gov", "${AWS::Region}": "ap-southeast-1", "${AWS::AccountId}": "0" * 12}
    for variable, value in (longest | {"${Prefix}": "x" * 20, '{"Fn::Sub":': "", "KmsKeyArn": "x" * 80}).items():
        written = written.replace(variable, value)
    assert len(text(written)) < LARGEST
