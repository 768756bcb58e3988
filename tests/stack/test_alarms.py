"""The alarms, fed with what their metrics are in normal use and in trouble, as CloudWatch evaluates them."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.stack.stack import ROOT, of_type

# The values of a metric in its last periods, the newest last; in a period without a value nothing was measured.
type Values = Mapping[str, list[float]]

# What a database of the stack's own measures while little happens.
AT_REST: Values = {"DatabaseConnections": [5, 5, 5], "FreeStorageSpace": [18e9, 18e9, 18e9]}
QUIET: Mapping[str, Values] = {
    "an idle month": AT_REST,
    "a roster of 30,000 keys every night, nearly all of them linked long ago": {
        **AT_REST,
        "KeysRequested": [30_000],
        "KeysLinked": [40],
        "KeysAlreadyLinked": [29_700],
        "Duration": [6_000, 6_500, 6_000],
        "Errors": [0],
        "Throttles": [0],
        "5XXError": [0],
        "DatabaseConnections": [9, 14, 14],
    },
    "a first roster of which a third of the learners have no account yet": {
        **AT_REST,
        "KeysRequested": [3_000],
        "KeysLinked": [2_000],
        "KeysAlreadyLinked": [0],
        "Duration": [4_000],
    },
    "somebody who tries a key that is wrong": {
        **AT_REST,
        "KeysRequested": [1],
        "KeysLinked": [0],
        "KeysAlreadyLinked": [0],
        "5XXError": [0],
    },
    "a deployment, when old and new functions have their sessions": {
        **AT_REST,
        "DatabaseConnections": [14, 24, 24],
        "Duration": [900],
        "Errors": [0],
        "5XXError": [0],
    },
    "one large batch behind another session's lock": {**AT_REST, "Duration": [2_000, 26_000, 2_000]},
}
TROUBLE: Mapping[str, Values] = {
    "LinkErrorsAlarm": {"Errors": [1]},
    "LinkThrottlesAlarm": {"Throttles": [1]},
    "LinkDurationAlarm": {"Duration": [2_000, 26_000, 21_000]},
    "ApiErrorsAlarm": {"5XXError": [1]},
    "FailedKeysAlarm": {"KeysRequested": [1_000], "KeysLinked": [100], "KeysAlreadyLinked": [300]},
    "FailedInvocationsAlarm": {"ApproximateNumberOfMessagesVisible": [1]},
    "LostInvocationsAlarm": {"DestinationDeliveryFailures": [1]},
    "RosterErrorsAlarm": {"Errors": [1]},
    "RosterFailedAlarm": {"ExecutionsFailed": [1]},
    "MigrateErrorsAlarm": {"Errors": [1]},
    "DatabaseConnectionsAlarm": {"DatabaseConnections": [61, 70, 75]},
    "DatabaseStorageAlarm": {"FreeStorageSpace": [1.9e9, 1.8e9, 1.7e9]},
}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}


@pytest.fixture
def alarms(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of the alarms by their names."""
    return of_type(resources, "AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("values", [pytest.param(values, id=use) for use, values in QUIET.items()])
def test_normal_use_is_quiet(template: dict[str, Any], alarms: dict[str, dict[str, Any]], values: Values) -> None:
    """No alarm goes off in normal use."""
    assert [name for name, alarm in alarms.items() if _goes_off(alarm, values, template)] == []


def test_trouble_is_heard(template: dict[str, Any], alarms: dict[str, dict[str, Any]]) -> None:
    """Each alarm goes off at what it is there for."""
    assert sorted(TROUBLE) == sorted(alarms)
    assert [name for name, values in TROUBLE.items() if not _goes_off(alarms[name], values, template)] == []


def test_each_alarm_is_explained(alarms: dict[str, dict[str, Any]]) -> None:
    """Each alarm's description leads to a section of its own, which has a query that shows the cause."""
    sections = (ROOT / "docs/operate.md").read_text().split("\n### ")[1:]
    texts = {section.partition("\n")[0]: section for section in sections}
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith(f" See docs/operate.md#{name.lower()}")
        assert any(f"\n```{kind}\n" in texts[name] for kind in ("logs", "sql", "sh aws"))


def _goes_off(alarm: dict[str, Any], values: Values, template: dict[str, Any]) -> bool:
    """Whether enough of the alarm's last periods breach its threshold; a period without values does not."""
    assert alarm["TreatMissingData"] == "notBreaching"
    threshold, compare = _default(alarm["Threshold"], template), COMPARISONS[alarm["ComparisonOperator"]]
    measured = _measured(alarm, values)[-alarm["EvaluationPeriods"] :]
    breaching = [value for value in measured if compare(value, threshold)]
    return len(breaching) >= int(alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]))


def _measured(alarm: dict[str, Any], values: Values) -> Sequence[float]:
    if "MetricName" in alarm:
        return values.get(alarm["MetricName"], [])
    stats = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    series = {name: values.get(stat["Metric"]["MetricName"], []) for name, stat in stats.items()}
    periods = [dict(zip(series, period, strict=True)) for period in zip(*series.values(), strict=True)]
    return [_calculate(alarm["Metrics"], known) for known in periods]


def _calculate(metrics: Sequence[dict[str, Any]], known: dict[str, float]) -> float:
    """The value that is compared: that of the first metric, whose expression names others."""
    expressions = {each["Id"]: each["Expression"] for each in metrics if "Expression" in each}
    (returned,) = [each["Id"] for each in metrics if each.get("ReturnData", True)]

    def value(name: str) -> float:
        return known[name] if name in known else _evaluate(ast.parse(expressions[name], mode="eval").body, value)

    return value(returned)


OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.GtE: operator.ge,
}


def _evaluate(node: ast.expr, value: Callable[[str], float]) -> float:
    """CloudWatch's arithmetic, as far as the alarms need it, which Python's parser reads too."""
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            return value(name)
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            return OPERATORS[type(op)](_evaluate(left, value), _evaluate(right, value))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            return _evaluate(then if _evaluate(condition, value) else otherwise, value)
    raise AssertionError(ast.dump(node))


def _default(threshold: Any, template: dict[str, Any]) -> float:  # noqa: ANN401 - a number or a reference
    match threshold:
        case {"Ref": str(parameter)}:
            return float(template["Parameters"][parameter]["Default"])
    return float(threshold)
