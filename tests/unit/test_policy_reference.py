"""Every policy of the templates against AWS's service authorization reference; each rule finds what was wrong once."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.unit import authorization
from tests.unit.authorization import Statement, arn, creates, granted, known_at_creation, matching
from tests.unit.policies import RESOURCES, TEMPLATES, Resource, label, listed, of, statements

PLACE = {"Partition": "aws", "Region": "eu-central-1", "AccountId": "123456789012", "Account": "123456789012"}
ARNS = {
    "AWS::DynamoDB::Table": ("dynamodb", "table"),
    "AWS::ECR::Repository": ("ecr", "repository"),
    "AWS::IAM::Role": ("iam", "role"),
    "AWS::KMS::Key": ("kms", "key"),
    "AWS::Kinesis::Stream": ("kinesis", "stream"),
    "AWS::Kinesis::StreamConsumer": ("kinesis", "consumer"),
    "AWS::Lambda::Function": ("lambda", "function"),
    "AWS::Logs::LogGroup": ("logs", "log-stream"),  # the attribute Arn ends in :*
    "AWS::S3::Bucket": ("s3", "bucket"),
    "AWS::SNS::Topic": ("sns", "topic"),
    "AWS::SQS::Queue": ("sqs", "queue"),
}
PARAMETERS = {
    "KmsKeyArn": "AWS::KMS::Key",
    "RepositoryArn": "AWS::ECR::Repository",
    "StreamArn": "AWS::Kinesis::Stream",
    "StreamConsumerArn": "AWS::Kinesis::StreamConsumer",
}
OF_ROLES = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
# What the reference says and the templates need not do, with the reason. The words are those of the complaint.
EXCUSED = {
    "TaskRole": {
        "no action is for arn:aws:kinesis:eu-central-1:123456789012:stream/x": "the KCL asks for a consumer by its "
        "name, which names the stream; where IAM looks at the consumer only, the stream's ARN adds nothing",
    },
    "SimulatorRole": {
        "no action is for arn:aws:iot:eu-central-1:123456789012:policy/sensorstream": "attaching names the device "
        "policy, too; where IAM looks at the certificate only, the policy's ARN adds nothing",
    },
    "CompactionStartRole": {
        "ecs:RunTask (Start) takes tags; at creation none of ecs:TagResource is allowed": "started without tags",
    },
    "ServiceRole": {
        "no action is for arn:aws:apigateway:eu-central-1::/tags/*": "the developer guide's resource for tags; "
        "where IAM looks at the API only, this ARN adds nothing",
        "lambda:CreateFunction depends on lambda:PassCapacityProvider": "no function has a capacity provider",
        **{
            f"athena:{action} needs the {kind} as a resource, too": "of what can be tagged, only workgroups are made"
            for action in ("ListTagsForResource", "TagResource", "UntagResource")
            for kind in ("capacity-reservation", "datacatalog")
        },
        "glue:CreateDatabase (Catalog) takes tags; at creation none of glue:TagResource is allowed": "CloudFormation's "
        "type has no tags",
        "kms:CreateKey depends on kms:PutKeyPolicy": "CreateKey sets the first policy itself; KMS then wants the "
        "caller to be let change it by that policy, which names this role (WhoMadeIt)",
    },
    "DeployerRole": {
        "cloudformation:DescribeStacks depends on cloudformation:ListStacks": "only where no stack is named",
        "s3:CreateBucket (Artifacts) takes tags; at creation none of s3:TagResource is allowed": "made without tags",
        "sqs:CreateQueue (State) takes tags; at creation none of sqs:TagQueue is allowed": "made without tags",
    },
    "OperatorRole": {
        "sqs:CreateQueue (AlertsInTheConsole) takes tags; at creation none of sqs:TagQueue is allowed": "made "
        "without tags",
        "cloudformation:DescribeStacks depends on cloudformation:ListStacks": "only where no stack is named",
    },
}


def sample(kind: str) -> str:
    service, name = ARNS[kind]
    return arn(service, name, lambda variable: PLACE.get(variable, "x")).replace(":log-stream:x", ":*")


def resolve(template: str, value: Any) -> Iterator[str]:
    """The ARNs that a template says, with what it gets at a deployment."""
    made = TEMPLATES[template]["Resources"]

    def kind(name: str) -> str:
        return PARAMETERS.get(name) or str(made[name.partition(".")[0]]["Type"])

    def substituted(found: re.Match[str]) -> str:
        name = found[1].removeprefix("AWS::")
        if name.startswith("!"):
            return "*"
        return sample(kind(name)) if name.endswith(".Arn") else PLACE.get(name, "sensorstream")

    match value:
        case str():
            yield value
        case {"Fn::Sub": str(pattern)}:
            yield re.sub(r"\$\{([^}]+)\}", substituted, pattern)
        case {"Fn::Sub": [str(pattern), dict(texts)]}:  # texts computed of parameters
            plain = re.sub(rf"\$\{{({'|'.join(texts)})\}}", "x", pattern)
            yield from resolve(template, {"Fn::Sub": plain})
        case {"Fn::If": [_, one, other]}:
            yield from (*resolve(template, one), *resolve(template, other))
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
            if name != "AWS::NoValue":
                yield sample(kind(name))
        case _:
            raise AssertionError(value)


def parsed(resource: Resource) -> list[Statement]:
    """All statements in a resource."""
    return [
        Statement(
            each.get("Sid", ""),
            each["Effect"],
            [str(action) for action in listed(each["Action"])],
            [one for value in listed(each.get("Resource", [])) for one in resolve(resource.template, value)],
            each.get("Condition", {}),
        )
        for each in statements(resource)
    ]


def roles() -> dict[str, list[Statement]]:
    """The statements of each role, those of its own policies and of managed ones."""
    found = {role.name: [s for s in parsed(role) if s.resources] for role in of("AWS::IAM::Role")}
    for policy in of("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        for role in policy.properties["Roles"]:
            found[role["Ref"]] += parsed(policy)
    return found


ROLES = roles()
every_role = pytest.mark.parametrize("role", sorted(ROLES))


def complaints(role: str, about: list[Statement]) -> list[str]:
    """All that the reference has against a role's statements."""
    single = [text for each in about for text in authorization.resources(each)]
    depend = [f"{action} depends on {other}" for action, other in authorization.dependents(about)]
    found = [*single, *depend]
    for rule in (authorization.uncovered, authorization.uncreatable, authorization.untagged):
        found += rule(about)
    return [text for text in found if text not in EXCUSED.get(role, {})]


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.kind != "AWS::IoT::Policy"], ids=label)
def test_actions_exist_and_know_the_keys_of_their_conditions(resource: Resource) -> None:
    """Policies of devices are IoT Core's own: it has keys that IAM's reference does not list."""
    for statement in parsed(resource):
        assert [*authorization.unknown(statement), *authorization.conditions(statement)] == []


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.kind in OF_ROLES], ids=label)
def test_a_reason_that_says_that_actions_have_no_resources_is_true(resource: Resource) -> None:
    for statement in parsed(resource):
        if re.search(r"no resource|knows? only", resource.reasons.get(statement.sid, "")):
            assert {action.name for action in statement.actions() if action.required} == set()


@every_role
def test_resources_tags_and_dependent_actions_are_as_the_reference_wants(role: str) -> None:
    assert complaints(role, ROLES[role]) == []


@every_role
def test_what_is_excused_is_so_for_a_reason_and_would_be_found(role: str) -> None:
    excused = EXCUSED.pop(role, {})
    try:
        assert set(complaints(role, ROLES[role])) == excused.keys()
    finally:
        EXCUSED.update({role: excused} if excused else {})
    assert all(len(reason) > 15 for reason in excused.values())


# ---- each rule finds what was wrong once -----------------------------------------------------------------------------
TAGGED = {"StringLike": {"aws:ResourceTag/sensorstream:stack": "sensorstream*"}}
Edit = Callable[[Statement], Statement]


def bound(*actions: str) -> Edit:
    """Statements that allow one of these do so for what is tagged already."""

    def edit(each: Statement) -> Statement:
        return each._replace(conditions=TAGGED) if set(actions) & set(each.patterns) else each

    return edit


def without(*actions: str) -> Edit:
    return lambda each: each._replace(patterns=[action for action in each.patterns if action not in actions])


def only_for(resource: str, *actions: str) -> Edit:
    def edit(each: Statement) -> Statement:
        return each._replace(resources=[resource]) if set(actions) & set(each.patterns) else each

    return edit


STREAM = "arn:aws:kinesis:eu-central-1:123456789012:stream/sensorstream*"


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (bound("kms:TagResource"), "kms:CreateKey depends on kms:TagResource"),
        (bound("kms:CreateKey"), "kms:CreateKey is bound to what nothing has at its creation"),
        (bound("dynamodb:CreateTable"), "dynamodb:CreateTable is bound to what nothing has at its creation"),
        (
            bound("kms:TagResource"),
            "kms:CreateKey (NewKeys) takes tags; at creation none of kms:TagResource is allowed",
        ),
        (
            without("route53:AssociateVPCWithHostedZone"),
            "ec2:CreateVpcEndpoint depends on route53:AssociateVPCWithHostedZone",
        ),
        (
            only_for(STREAM, "kinesis:StartStreamEncryption"),
            "kinesis:StartStreamEncryption needs the kmsKey as a resource, too",
        ),
        (
            only_for(STREAM, "kinesis:UpdateShardCount"),
            "kinesis:UpdateShardCount is for no resource, and needs *",
        ),
        (only_for(STREAM, "dynamodb:CreateTable"), "dynamodb:CreateTable is for table"),
        (only_for(STREAM, "dynamodb:CreateTable"), f"no action is for {STREAM}"),
    ],
)
def test_what_was_wrong_once_is_found(edit: Edit, found: str) -> None:
    assert found in complaints("ServiceRole", [edit(each) for each in ROLES["ServiceRole"]])


CREATIONS = [
    action.name
    for action in granted(ROLES["ServiceRole"]).values()
    if creates(action) and any(key.startswith("aws:RequestTag/") for key in action.keys)
]


@pytest.mark.parametrize("creation", CREATIONS)
def test_a_creation_whose_tags_are_allowed_only_on_what_has_tags_is_found(creation: str) -> None:
    service = creation.partition(":")[0]
    tagging = [action.name for action in authorization.tagging_actions(service)]
    edited = [bound(*tagging)(each) for each in ROLES["ServiceRole"]]
    assert [text for text in authorization.untagged(edited) if text.startswith(f"{creation} (")]


@pytest.mark.parametrize(
    ("statement", "rule", "found"),
    [
        ({"patterns": ["kms:CreateKeys"]}, authorization.unknown, "kms:CreateKeys is no action"),
        ({"patterns": ["kms:RotateAll*"]}, authorization.unknown, "kms:RotateAll* is no action"),
        (
            {"patterns": ["sqs:SendMessage"], "conditions": {"StringEquals": {"sqs:queue": "x"}}},
            authorization.conditions,
            "sqs:SendMessage never has sqs:queue",
        ),
        (
            {"patterns": ["iam:CreateRole"], "conditions": {"StringEquals": {"iam:PassedToService": "x"}}},
            authorization.conditions,
            "iam:CreateRole never has iam:PassedToService",
        ),
        (
            {"patterns": ["kinesis:UpdateShardCount"], "conditions": TAGGED},
            authorization.conditions,
            "kinesis:UpdateShardCount never has aws:ResourceTag/sensorstream:stack",
        ),
    ],
)
def test_a_wrong_word_is_found(
    statement: Mapping[str, Any], rule: Callable[[Statement], Iterator[str]], found: str
) -> None:
    whole: dict[str, Any] = {"patterns": [], "resources": ["*"], "conditions": {}} | dict(statement)
    assert list(rule(Statement("", "Allow", **whole))) == [found]


# ---- keys ------------------------------------------------------------------------------------------------------------
def test_a_new_key_is_managed_by_its_own_policy_and_not_by_tags_that_do_not_count_yet() -> None:
    """KMS takes up to five minutes until tags count (its developer guide, ABAC). A role's policy may go by tags only
    where the key's own policy allows the same at once."""
    [key] = of("AWS::KMS::Key")
    [own] = [each for each in parsed(key) if each.sid == "WhoMadeIt"]
    bound_by_tags = [each for each in ROLES["ServiceRole"] if not known_at_creation(each)]
    assert {action for each in bound_by_tags for action in each.patterns} == set(own.patterns)
    assert "kms:PutKeyPolicy" in own.patterns, "else KMS refuses the policy: it could never be changed"


def test_a_key_of_the_accounts_own_may_be_used_as_the_services_that_encrypt_want() -> None:
    """DynamoDB's list is the longest: its developer guide, encryption at rest, customer managed keys."""
    wanted = "Encrypt Decrypt ReEncrypt* GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant"
    [use] = [each for each in ROLES["ServiceRole"] if each.sid == "KeysInUse"]
    actions = {action.name for name in wanted.split() for action in matching(f"kms:{name}")}
    assert actions <= {action.name for action in use.actions()}
