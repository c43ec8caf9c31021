"""The patterns of a deployment's topics: what they take, what they refuse, and what follows from them."""

import re

import pytest

from infra.deploy.templates import DATA, parameters
from producer.fleet.topics import DEFAULT, MOST, Pattern, device_levels, device_of, patterns

DECLARED = parameters(DATA)


def test_the_templates_default_is_ours_and_its_level_fits() -> None:
    assert DECLARED["TopicPattern"]["Default"] == DEFAULT
    assert DECLARED["TopicDeviceLevel"]["Default"] == device_levels(DEFAULT)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("{device}", "1"),
        ("zigbee2mqtt/{device}", "2"),
        ("tele/{device}/SENSOR,v3/app@tenant/devices/{device}/up", "2,4"),
        ("a/{device},b/{device},{device}/c/d", "2,2,1"),
    ],
)
def test_the_level_of_the_device_is_counted_as_iot_sql_counts_it(text: str, levels: str) -> None:
    assert device_levels(text) == levels
    assert re.fullmatch(DECLARED["TopicPattern"]["AllowedPattern"], text)
    assert re.fullmatch(DECLARED["TopicDeviceLevel"]["AllowedPattern"], levels)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "exactly one"),
        ("device/data", "exactly one"),
        ("{device}/{device}", "exactly one"),
        ("a/x{device}/b", "exactly one"),
        ("a//{device}", "none of them empty"),
        ("/{device}", "none of them empty"),
        ("a/+/{device}", "levels of"),
        ("{device}/#", "levels of"),
        ("$aws/things/{device}", "levels of"),
        ("a'b/{device}", "levels of"),
        ("a/{device},", "exactly one"),
        ("a/{device},b", "exactly one"),
    ],
)
def test_what_is_no_pattern_is_refused_here_and_by_the_template(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        patterns(text)
    assert not re.fullmatch(DECLARED["TopicPattern"]["AllowedPattern"], text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a/b/c/d/e/f/g/h/{device}", "9 levels"),
        ("x" * 200 + "/{device}", "up to 329 bytes"),
        (",".join(f"{each}/{{device}}" for each in "abcd"), f"rules for {MOST}"),
        ("a/{device}/c,{device}/b/c", "fit the same topics"),
        ("a/{device},a/{device}", "fit the same topics"),
    ],
)
def test_what_the_templates_pattern_cannot_see_is_refused_as_well(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        patterns(text)


def test_a_topic_gives_its_device_back() -> None:
    known = patterns("device/{device}/devicePayload,zigbee2mqtt/{device}")
    for pattern in known:
        assert device_of(known, pattern.topic("soil 1")) == "soil 1"
    assert device_of(known, "$aws/rules/stack_ReadingsRule_1/zigbee2mqtt/x") == "x"
    assert device_of(known, "$aws/rules/stack_ReadingsRule_1") is None
    assert device_of(known, "device/x/other") is None
    assert device_of(known, "zigbee2mqtt/x/set") is None


def test_patterns_overlap_only_where_a_topic_fits_both() -> None:
    parse = Pattern.parse
    assert parse("a/{device}/c").overlaps(parse("{device}/b/c"))
    assert not parse("a/{device}/c").overlaps(parse("a/{device}/d"))
    assert not parse("a/{device}").overlaps(parse("a/{device}/c"))
