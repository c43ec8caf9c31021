"""What a change set means: documents as CloudFormation's DescribeChangeSet gives them, and as the emulator does."""

from typing import Any

from infra.deploy.changes import Change, Fate, changes, count, differences, table


def detail(
    name: str, recreation: str = "Never", source: str = "DirectModification", cause: str = "", **more: str
) -> Any:
    """`more` may be BeforeValue and AfterValue."""
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation, **more}
    found: dict[str, Any] = {"Target": target, "ChangeSource": source}
    return found | ({"CausingEntity": cause} if cause else {})


def modified(name: str, kind: str, *details: Any, replacement: str = "False") -> Any:
    found = {"Action": "Modify", "LogicalResourceId": name, "ResourceType": kind, "Replacement": replacement}
    return found | {"Details": list(details)}


RETENTION = modified(
    "Stream",
    "AWS::Kinesis::Stream",
    detail("RetentionPeriodHours"),
    detail("RetentionPeriodHours", source="ParameterReference", cause="RetentionHours"),
)
TASK = modified(
    "Task",
    "AWS::ECS::TaskDefinition",
    detail("ContainerDefinitions", "Always", "ParameterReference", "Image"),
    replacement="True",
)
SERVES = modified(
    "Service",
    "AWS::ECS::Service",
    detail("TaskDefinition", source="ResourceReference", cause="Task"),
    replacement="False",
)
REFERS = modified(
    "Rule",
    "AWS::IoT::TopicRule",
    detail("TopicRulePayload", "Conditionally", "ResourceAttribute", "Stream.Arn"),
    replacement="Conditional",
)
FOLLOWS = modified("Name", "AWS::SSM::Parameter", detail("Value", source="ResourceReference", cause="Rule"))


def test_a_parameter_is_shown_with_its_old_and_new_value() -> None:
    [change] = changes([RETENTION], {"RetentionHours": ("48", "72")})
    assert change.fate is Fate.KEPT
    assert change.reasons == ("RetentionPeriodHours: RetentionHours 48 -> 72",)


def test_what_only_refers_to_a_change_is_no_change() -> None:
    found = changes([RETENTION, REFERS, FOLLOWS], {"RetentionHours": ("48", "72")})
    assert count(found) == "1 to modify"
    assert table(found) == [
        "modify  Stream  Kinesis::Stream",
        "          RetentionPeriodHours: RetentionHours 48 -> 72",
        "unchanged, since what they refer to is not replaced: Name, Rule",
    ]


def test_what_refers_to_something_replaced_changes_with_it() -> None:
    found = changes([TASK, SERVES], {"Image": ("a:1", "a:2")})
    assert table(found) == [
        "modify  Service  ECS::Service",
        "          TaskDefinition: as Task is replaced",
        "modify  Task     ECS::TaskDefinition  REPLACED",
        "          ContainerDefinitions: Image a:1 -> a:2 (takes a new one)",
    ]


def test_perhaps_goes_on_to_what_refers_to_it() -> None:
    owner = modified("Stream", "AWS::Kinesis::Stream", detail("Some", "Conditionally"), replacement="Conditional")
    found = {change.resource: change for change in changes([owner, REFERS, FOLLOWS], {})}
    assert [found[name].fate for name in ("Stream", "Rule", "Name")] == [
        Fate.PERHAPS_REPLACED,
        Fate.PERHAPS_REPLACED,
        Fate.KEPT,
    ]
    assert found["Stream"].reasons == ("Some: as the template now says (may take a new one)",)
    assert found["Name"].reasons == ("Value: only if Rule is replaced",)


def test_what_a_custom_resource_answers_may_be_new() -> None:
    custom = modified("Endpoint", "Custom::IotEndpoint", detail("Version"))
    follower = modified(
        "Name", "AWS::SSM::Parameter", detail("Value", source="ResourceAttribute", cause="Endpoint.Address")
    )
    assert Fate.UNCHANGED not in {change.fate for change in changes([custom, follower], {})}


def test_cloudformations_own_word_that_it_replaces_is_never_weakened() -> None:
    strange = modified("Thing", "AWS::X::Y", detail("Name"), replacement="True")
    assert changes([strange], {})[0].fate is Fate.REPLACED


def test_values_are_shown_where_cloudformation_returns_them() -> None:
    plain = modified(
        "Stream", "AWS::Kinesis::Stream", detail("RetentionPeriodHours", BeforeValue="48", AfterValue="72")
    )
    assert changes([plain], {})[0].reasons == ("RetentionPeriodHours: 48 -> 72",)


def test_of_documents_the_places_that_differ_are_shown() -> None:
    before, after = '[{"Name": "a", "Image": "x:1", "Cpu": 1}]', '[{"Name": "a", "Image": "x:2", "Port": 80}]'
    assert list(differences(before, after)) == [
        "/0/Image: x:1 -> x:2",
        "/0/Cpu: 1 -> nothing",
        "/0/Port: nothing -> 80",
    ]
    [long] = differences("a" * 100, "b")
    assert long == f": {'a' * 57}... -> b"
    many = list(differences("[1, 2, 3, 4, 5, 6]", "[6, 5, 4, 3, 2, 1]"))
    assert many[-1] == ": and 2 more places"


def test_additions_and_removals_have_no_reasons() -> None:
    found: Any = [{"Action": "Add", "LogicalResourceId": "A", "ResourceType": "AWS::SQS::Queue", "Details": []}]
    assert changes(found, {}) == [Change("Add", "A", "AWS::SQS::Queue")]
