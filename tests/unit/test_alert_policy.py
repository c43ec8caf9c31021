"""What an alert policy may say, and what it answers when it says something else."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import templates
from infra.deploy.cloudformation import InputError
from infra.deploy.parameters import assignments, require_policy, require_valid
from infra.functions.alert.policy import MAX_LENGTH, Policy, parse

DRY = {"name": "dry"}
READ_ONCE = cache(templates.parameters)


@pytest.fixture(autouse=True)
def _templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "parameters", READ_ONCE)


def policy(*rules: dict[str, Any], when: str = "below", **given: Any) -> Policy:
    return parse(json.dumps({"rules": [*rules], **given}), when, "35")


def test_a_rule_says_little_and_means_the_rest() -> None:
    [rule] = policy(DRY).rules
    assert (rule.devices, rule.kind, rule.limit, rule.severity) == ("*", "threshold", Decimal(35), "warning")
    assert (int(rule.hysteresis), rule.cooldown, rule.recovery) == (0, 0, True)


def test_of_rules_with_one_name_the_first_that_matches_counts() -> None:
    found = policy(
        {"name": "dry", "devices": "cellar-3", "threshold": 10},
        {"name": "dry", "devices": "cellar-*", "threshold": 20},
        {"name": "dry"},
        {"name": "very-dry", "threshold": 5, "severity": "critical"},
        {"name": "gone", "silent": 3, "interval": 10},
    )
    limits = {
        device: [(r.name, int(r.limit)) for r in found.of(device, "threshold")]
        for device in ("cellar-3", "cellar-4", "Cellar-3")
    }
    assert limits == {
        "cellar-3": [("dry", 10), ("very-dry", 5)],
        "cellar-4": [("dry", 20), ("very-dry", 5)],
        "Cellar-3": [("dry", 35), ("very-dry", 5)],
    }
    assert [(r.name, int(r.limit)) for r in found.of("cellar-3", "silent")] == [("gone", 30)]


def test_of_a_devices_name_only_the_asterisk_and_the_question_mark_mean_another() -> None:
    found = policy({"name": "dry", "devices": "pot[1]-?"})
    assert [each for each in ("pot[1]-a", "pot1-a", "pot[1]-ab") if found.of(each, "threshold")] == ["pot[1]-a"]


@pytest.mark.parametrize(
    ("rule", "when", "measured", "excess"),
    [
        (DRY, "below", 34, 1), (DRY, "below", 36, -1), (DRY, "above", 36, 1),
        ({"name": "fast", "change": 2}, "below", -3, 1), ({"name": "fast", "change": 2}, "below", 3, -5),
        ({"name": "fast", "change": 2}, "above", 3, 1), ({"name": "gone", "silent": 2, "interval": 15}, "below", 31, 1),
    ],
)  # fmt: skip
def test_the_excess_is_how_far_beyond_the_limit(rule: dict[str, Any], when: str, measured: int, excess: int) -> None:
    [found] = policy(rule, when=when).rules
    assert found.excess(Decimal(measured)) == excess


def refuse(parameters: dict[str, str]) -> None:
    """As the local stack does."""
    require_valid(parameters)
    require_policy(parameters, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[]", "the policy must be an object"),
        ("{,}", "it is not JSON"),
        ('{"rules":' + "[" * 2_000 + "}", "it is not JSON"),
        ('{"rules": []}', "rules must be a list of 1 to 40"),
        ('{"rules": [{"name": "dry"}], "quite": {}}', "the policy: quite is not known; there are digest, format"),
        ('{"rules": [{}]}', "a rule: name must be"),
        ('{"rules": ["dry"]}', "a rule must be an object"),
        ('{"rules": [{"name": "Dry"}]}', "rule Dry: name must be up to 32 of a-z 0-9 -"),
        ('{"rules": [{"name": "dry", "devices": 3}]}', "rule dry: devices must be a name"),
        ('{"rules": [{"name": "dry", "threshold": 30, "silent": 3}]}', "threshold and silent need a rule each"),
        ('{"rules": [{"name": "dry", "threshold": 40}]}', "looser than AlertThreshold, 35"),
        ('{"rules": [{"name": "dry", "threshold": "30"}]}', "rule dry: threshold must be a number"),
        ('{"rules": [{"name": "dry", "threshold": NaN}]}', "rule dry: threshold must be a number"),
        ('{"rules": [{"name": "dry", "severity": "bad"}]}', "severity must be one of info, warning, critical"),
        ('{"rules": [{"name": "dry", "cooldown": 1.5}]}', "rule dry: cooldown must be a whole number of 0 to 10080"),
        ('{"rules": [{"name": "dry", "cooldown": []}]}', "rule dry: cooldown must be a whole number"),
        ('{"rules": [{"name": "dry", "cooldown": true}]}', "rule dry: cooldown must be a whole number"),
        ('{"rules": [{"name": "dry", "cooldown": "30"}]}', "rule dry: cooldown must be a whole number"),
        ('{"rules": [{"name": "dry", "cooldown": 1e999999999}]}', "rule dry: cooldown must be a whole number"),
        ('{"rules": [{"name": "dry", "threshold": -1e9999999}]}', "rule dry: threshold must be a number"),
        ('{"rules": [{"name": "dry", "threshold": 1e9999999999999999999}]}', "it has a number with too large an exp"),
        ('{"rules": [{"name": "dry", "hysteresis": -1}]}', "rule dry: hysteresis must be at least 0"),
        ('{"rules": [{"name": "dry", "recovery": "no"}]}', "rule dry: recovery must be true or false"),
        ('{"rules": [{"name": "dry", "interval": 5}]}', "rule dry: interval is that of silent"),
        ('{"rules": [{"name": "gone", "silent": 3}]}', "rule gone: interval must be a number"),
        ('{"rules": [{"name": "gone", "silent": 3, "interval": 1}]}', "is 3 minutes, but must be 20..7200"),
        ('{"rules": [{"name": "gone", "silent": 3, "interval": 10, "hysteresis": 30}]}', "hysteresis must be less"),
        ('{"rules": [{"name": "a"}, {"name": "a", "change": 1}]}', "rules named a are of two kinds"),
        ('{"rules": [{"name": "a"}], "digest": 101}', "the policy: digest must be a whole number of 0 to 100"),
        ('{"rules": [{"name": "a"}], "format": "html"}', "format must be one of text, chat"),
        ('{"rules": [{"name": "a"}], "quiet": {"from": "22", "to": "06:00"}}', "quiet: from and to must be times"),
        ('{"rules": [{"name": "a"}], "quiet": {"from": "06:00", "to": "06:00"}}', "quiet: from and to must differ"),
        ('{"rules": [{"name": "a"}], "quiet": {"from": "22:00", "to": "06:00", "zone": "Berlin"}}', "Berlin is not"),
        (json.dumps({"rules": [{"name": "a"}], "x": "x" * MAX_LENGTH}), "bytes, but may have 3000"),
        ('{"rules": [{"name": "a", "devices": "' + "€" * 1_000 + '"}]}', "bytes, but may have 3000"),
    ],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused_with_what_is_wrong(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(given, "below", "35")
    with pytest.raises(InputError, match="AlertPolicy" if given.startswith("[") else f"AlertPolicy: .*{said}"):
        refuse({"AlertPolicy": given})


def test_a_deployment_takes_a_policy_or_the_name_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"rules": [DRY]}, indent=2))
    given = assignments(f"AlertPolicy={file}")
    assert given == {"AlertPolicy": '{"rules":[{"name":"dry"}]}'}
    require_valid(given)
    require_valid({"AlertPolicy": ""})
    with pytest.raises(InputError, match=r"AlertPolicy: none\.json: No such file"):
        assignments("AlertPolicy=none.json")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"rules":[{"name":"a","devices":"\\ud800"}]}'])
def test_a_file_that_is_no_json_of_text_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"AlertPolicy: .*\.json: "):
        assignments(f"AlertPolicy={file}")


LOOSE = {"AlertPolicy": '{"rules":[{"name":"dry","threshold":40}]}'}


@pytest.mark.parametrize(
    ("given", "deployed", "said"),
    [
        (LOOSE, {}, "give AlertThreshold=40 with the policy"),
        (LOOSE | {"AlertThreshold": "40"}, {}, ""),
        (LOOSE | {"HumidityThreshold": "45"}, {}, ""),
        (LOOSE | {"HumidityThreshold": "45", "AlertWhen": "above"}, {}, "looser than AlertThreshold, 45, above"),
        (LOOSE, {"AlertThreshold": "40"}, ""),
        (LOOSE, {"AlertThreshold": "30"}, "looser than AlertThreshold, 30"),
        (LOOSE, {"AlertWhen": "above"}, ""),
        (LOOSE | {"AlertWhen": "below"}, {"AlertWhen": "above"}, "looser than AlertThreshold, 35"),
        ({"AlertThreshold": "30"}, LOOSE | {"AlertThreshold": "40"}, "looser than AlertThreshold, 30"),
        ({"AlertThreshold": "30", "AlertPolicy": ""}, LOOSE | {"AlertThreshold": "40"}, ""),
        ({"ShardCount": "3"}, {"AlertPolicy": "{}"}, ""),
    ],
)
def test_a_policy_must_fit_the_threshold_that_is_deployed_or_given_with_it(
    given: dict[str, str], deployed: dict[str, str], said: str
) -> None:
    require_valid(given)
    if not said:
        require_policy(given, deployed)
        return
    with pytest.raises(InputError, match=f"AlertPolicy: rule dry: threshold 40 is .*{said}"):
        require_policy(given, deployed)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-06-01T12:00+02:00", "2026-06-01T12:00+02:00"),
        ("2026-06-01T21:59+02:00", "2026-06-01T21:59+02:00"),
        ("2026-06-01T22:00+02:00", "2026-06-02T06:30+02:00"),
        ("2026-06-02T06:29+02:00", "2026-06-02T06:30+02:00"),
        ("2026-06-02T06:30+02:00", "2026-06-02T06:30+02:00"),
        ("2026-10-25T01:00+02:00", "2026-10-25T06:30+01:00"),
        ("2026-03-29T01:00+01:00", "2026-03-29T06:30+02:00"),
    ],
)
def test_notices_wait_for_the_end_of_the_quiet_hours_of_the_zone(now: str, due: str) -> None:
    found = policy(DRY, quiet={"from": "22:00", "to": "06:30", "zone": "Europe/Berlin"})
    assert found.due("warning", at(now)) == at(due)
    assert found.due("critical", at(now)) == at(now)


def test_quiet_hours_within_a_day_end_on_it() -> None:
    found = policy(DRY, quiet={"from": "12:00", "to": "13:00"})
    noon = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
    assert found.due("info", int(noon.timestamp() * 1000)) == at("2026-06-01T13:00Z")
