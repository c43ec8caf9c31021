"""What make docs writes is what stands in docs/."""

import pytest

from consumer.sinks.cloudwatch import ServiceMetric
from infra.docs.__main__ import DOCS, made
from infra.docs.templates import plain, templates
from producer.compact.metric import METRIC


def test_make_docs_would_change_nothing() -> None:
    for path, text in made().items():
        assert path.read_text() == text, f"{path.name} is not what the templates say: make docs"


def test_every_metric_of_cloudwatch_is_on_the_page() -> None:
    page = (DOCS / "metrics.md").read_text().partition("## CloudWatch")[2]
    assert {name for name in (*ServiceMetric, METRIC) if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", templates())
def test_every_resource_says_what_it_is_for_who_uses_it_and_what_it_costs(name: str) -> None:
    for logical, resource in templates()[name]["Resources"].items():
        reported = resource.get("Metadata", {})
        assert all(reported.get(key) for key in ("Purpose", "Users", "Cost")), logical


def test_every_role_has_its_table() -> None:
    found = [
        logical
        for document in templates().values()
        for logical, resource in document["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    text = next(text for path, text in made().items() if path.name == "security.md")
    assert len(found) >= 8
    assert all(f"### {logical}\n" in text for logical in found)


def test_a_name_is_written_as_people_say_it() -> None:
    assert plain({"Fn::GetAtt": "AlertTopic.Arn"}) == "AlertTopic"
    table = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${AWS::StackName}-x"
    assert plain({"Fn::Sub": table}) == "dynamodb:table/STACK-x"
    assert plain({"Fn::If": ["HasKey", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]}) == "Key (if HasKey)"
