"""What CloudWatch makes of an alarm of the templates, for points that a test gives it.

Only what the templates use: one metric, or arithmetic with IF, AND and FILL; all of the evaluation periods must breach;
and the ways to treat missing data, by AWS's documentation of alarms. A query of Metrics Insights is one metric here.
"""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

from infra.deploy.templates import INFRA, parameters
from tests.unit.policies import Resource

COMPARE = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}
DEFAULTS = {name: str(each.get("Default", name)) for name, each in parameters(INFRA / "service.yaml").items()}

Point = Mapping[str, float]
"""What each metric has in one period; one that is missing is left out."""


def metrics(alarm: Resource) -> list[dict[str, Any]]:
    """Each metric that the alarm looks at, as MetricName, Namespace, Dimensions."""
    properties = alarm.properties
    if "Metrics" not in properties:
        return [properties]
    return [each["MetricStat"]["Metric"] for each in properties["Metrics"] if "MetricStat" in each]


def expression(alarm: Resource) -> str | None:
    """The arithmetic or query whose result the alarm goes by, with the template's defaults put in."""
    for each in alarm.properties.get("Metrics", ()):
        if each["ReturnData"]:
            text = each["Expression"]
            return _filled(text["Fn::Sub"] if isinstance(text, dict) else text)
    return None


def value(alarm: Resource, point: Point) -> float | None:
    """The number of one period; None where CloudWatch has none."""
    text = expression(alarm)
    if text is None:
        return point.get(alarm.properties["MetricName"])
    if query := re.fullmatch(r"SELECT SUM\((\w+)\) FROM \"AWS/IoT\" WHERE RuleName = '\w+'", text):
        return point.get(query[1])
    names = {each["Id"]: each["MetricStat"]["Metric"]["MetricName"] for each in alarm.properties["Metrics"][1:]}
    filled = dict(re.findall(r"FILL\((\w+), (\d+)\)", text))
    if not {metric for each, metric in names.items() if each not in filled} <= point.keys():
        return None
    known = {each: point.get(metric, float(filled.get(each, 0))) for each, metric in names.items()}
    text = re.sub(r"FILL\((\w+), \d+\)", r"\1", text)
    code = re.sub(r"IF\((.*?), (.*), (\d+)\)", r"(\2) if (\1) else \3", text).replace(" AND ", " and ")
    return float(eval(code, {"__builtins__": {}}, known))  # noqa: S307 - the template's own


def state(alarm: Resource, points: Sequence[Point], before: str = "OK") -> str:
    """ALARM, OK, or what it was `before`, after these periods, of which the last ones count."""
    properties = alarm.properties
    treat, compare = properties["TreatMissingData"], COMPARE[properties["ComparisonOperator"]]
    values = [value(alarm, point) for point in points[-properties["EvaluationPeriods"] :]]
    assert len(values) == properties["EvaluationPeriods"], "not enough points"
    known = [treat == "breaching" if each is None else compare(each, properties["Threshold"]) for each in values]
    if treat == "ignore" and None in values:
        known = [each for each, number in zip(known, values, strict=True) if number is not None]
        return before if not known or all(known) else "OK"
    return "ALARM" if all(known) else "OK"


def _filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: DEFAULTS.get(found[1], found[1]), text)
