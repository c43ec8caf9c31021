"""Our own rules for all templates: least rights, nothing public, everything encrypted, nothing left to chance."""

import re
from typing import Any

import pytest

from infra.deploy.templates import INFRA
from tests.unit.policies import NAMES, RESOURCES, Resource, label, listed, of, statements, text, within

STATEFUL = {
    "AWS::DynamoDB::Table",
    "AWS::ECR::Repository",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "Custom::IotEndpoint",
}
ENCRYPTED = {
    "AWS::DynamoDB::Table": "SSESpecification",
    "AWS::ECR::Repository": "EncryptionConfiguration",
    "AWS::Kinesis::Stream": "StreamEncryption",
    "AWS::Logs::LogGroup": "KmsKeyId",  # without a key by CloudWatch's own
    "AWS::S3::Bucket": "BucketEncryption",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
}
# Whether a service sets the account for which it assumes a role. By their documents ECS, EventBridge and IoT Core do;
# for Lambda and CloudFormation no document says so, and a condition on a missing key would refuse every deployment.
TRUSTED = {"ecs-tasks.amazonaws.com": True, "events.amazonaws.com": True, "iot.amazonaws.com": True}
TRUSTED |= {"cloudformation.amazonaws.com": False, "lambda.amazonaws.com": False}
ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
ALL_PRINCIPALS = ("*", {"AWS": "*"})

every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=label)


def wild(statement: dict[str, Any]) -> bool:
    """Whether it allows more than it names."""
    parts = [*listed(statement.get("Action", [])), *listed(statement.get("Resource", []))]
    return statement["Effect"] == "Allow" and any("*" in text(part) for part in [*parts, statement.get("Principal")])


@every_resource
def test_a_wildcard_has_a_written_reason_and_a_reason_a_wildcard(resource: Resource) -> None:
    wildcards = {statement.get("Sid") for statement in statements(resource) if wild(statement)}
    assert wildcards == resource.reasons.keys() - {"Trust"}
    assert all(isinstance(reason, str) and len(reason) > 15 for reason in resource.reasons.values())


@every_resource
def test_no_statement_says_what_is_excepted(resource: Resource) -> None:
    for statement in statements(resource):
        assert not statement.keys() & {"NotAction", "NotPrincipal", "NotResource"}


@pytest.mark.parametrize("role", of("AWS::IAM::Role"), ids=label)
def test_a_role_trusts_one_service_for_this_account_or_the_account_for_a_reason(role: Resource) -> None:
    [trust] = listed(role.properties["AssumeRolePolicyDocument"]["Statement"])
    [(kind, principal)] = trust["Principal"].items()
    assert trust["Action"] == "sts:AssumeRole"
    if kind == "Service":
        bound = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        assert trust.get("Condition") == (bound if TRUSTED[principal] else None)
        assert "Trust" not in role.reasons
    else:
        assert (kind, principal) == ("AWS", ROOT)
        assert role.reasons["Trust"]
    assert "ManagedPolicyArns" not in role.properties, "the policies of others change without us"


@every_resource
def test_no_policy_allows_anything_beyond_this_account(resource: Resource) -> None:
    for statement in statements(resource):
        if statement["Effect"] != "Allow" or statement.get("Principal") not in ALL_PRINCIPALS:
            continue
        # An endpoint's policy is no grant; still only this account passes, and ECR's addresses to layers.
        assert resource.kind == "AWS::EC2::VPCEndpoint"
        account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalAccount")
        assert account == {"Ref": "AWS::AccountId"} or statement["Action"] == "s3:GetObject"


@every_resource
def test_a_service_is_allowed_only_on_behalf_of_this_account(resource: Resource) -> None:
    for statement in statements(resource):
        principal = statement.get("Principal")
        if statement["Action"] != "sts:AssumeRole" and isinstance(principal, dict) and "Service" in principal:
            condition = statement["Condition"]["StringEquals"]
            assert condition["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    if resource.kind == "AWS::Lambda::Permission":
        assert resource.properties["SourceAccount"] == {"Ref": "AWS::AccountId"}
        assert resource.properties["SourceArn"]


@every_resource
def test_nothing_comes_in_from_anywhere(resource: Resource) -> None:
    assert resource.kind not in ("AWS::Lambda::Url", "AWS::EC2::SecurityGroupIngress")
    for rule in within(resource.properties.get("SecurityGroupIngress", [])):
        assert not {"0.0.0.0/0", "::/0"} & {text(value) for value in rule.values()}
    public = [each for each in within(resource.properties) if each.get("AssignPublicIp") == "ENABLED"]
    assert not public or resource.name in ("Simulator", "CompactionStart")
    assert resource.properties.get("MapPublicIpOnLaunch") in (None, False)


@pytest.mark.parametrize("bucket", of("AWS::S3::Bucket"), ids=label)
def test_a_bucket_is_closed_to_the_public_and_to_plain_http(bucket: Resource) -> None:
    block = bucket.properties["PublicAccessBlockConfiguration"]
    assert list(block.values()) == [True] * 4
    [policy] = [each for each in of("AWS::S3::BucketPolicy") if each.properties["Bucket"] == {"Ref": bucket.name}]
    assert any(
        (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in statements(policy)
    )


@pytest.mark.parametrize("resource", of(*ENCRYPTED), ids=label)
def test_what_keeps_data_is_encrypted_and_by_the_accounts_own_key_if_there_is_one(resource: Resource) -> None:
    encryption = resource.properties[ENCRYPTED[resource.kind]]
    assert {"Ref": "KmsKeyArn"} in list(within(encryption))
    if resource.kind == "AWS::SQS::Queue":
        assert resource.properties["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", False, True]}


@pytest.mark.parametrize("resource", of(*STATEFUL), ids=label)
def test_what_becomes_of_state_is_said(resource: Resource) -> None:
    kept = {resource.body.get("DeletionPolicy"), resource.body.get("UpdateReplacePolicy")}
    assert kept <= {"Retain", "Delete"}, "both must be written down"


def test_no_type_that_keeps_state_is_overlooked() -> None:
    for resource in RESOURCES:
        if "DeletionPolicy" in resource.body or ENCRYPTED.get(resource.kind, "") not in ("", "KmsMasterKeyId"):
            assert resource.kind in STATEFUL


@pytest.mark.parametrize("group", of("AWS::Logs::LogGroup"), ids=label)
def test_logs_expire(group: Resource) -> None:
    assert group.properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("function", of("AWS::Lambda::Function"), ids=label)
def test_a_function_logs_into_a_group_of_its_stack(function: Resource) -> None:
    groups = {group.name for group in of("AWS::Logs::LogGroup") if group.template == function.template}
    assert function.properties["LoggingConfig"]["LogGroup"]["Ref"] in groups


@every_resource
def test_a_resource_says_what_it_is_for_who_uses_it_and_what_it_costs(resource: Resource) -> None:
    metadata = resource.body["Metadata"]
    for key in ("Purpose", "Users", "Cost"):
        assert isinstance(metadata[key], str)
        assert 3 <= len(metadata[key]) < 200


@pytest.mark.parametrize("name", NAMES)
def test_a_template_fits_every_region_and_partition(name: str) -> None:
    written = (INFRA / f"{name}.yaml").read_text()
    assert not re.search(r"arn:aws[:-]", written), "arn:${AWS::Partition}"
    assert not re.search(r"\b(us|eu|ap|sa|ca|af|me)-[a-z]+-\d\b", written)
    hosts = re.findall(r"[\w.-]*amazonaws\.com[\w.]*", written)
    assert {host for host in hosts if not re.fullmatch(r"((ecs|ops)\.)?[a-z-]+\.amazonaws\.com", host)} == set()
