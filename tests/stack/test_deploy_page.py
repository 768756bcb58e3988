"""What the page on deploying says of the template, and its SQL."""

import re
from typing import Any

from local.lms import Lms
from tests.stack.stack import ROOT, of_type
from tests.support import Invoke

PAGE = (ROOT / "docs/deploy.md").read_text()


def test_parameters_are_the_templates(template: dict[str, Any]) -> None:
    """Each parameter that the page sets is one of the template's."""
    named = set(re.findall(r"\b([A-Z][a-z]+[A-Za-z]*[a-z])=", PAGE)) - {
        "CertificateArn",
        "EndpointType",
        "SecurityPolicy",
    }
    assert "DatabaseHost" in named
    assert named <= set(template["Parameters"])


def test_first_account(lms: Lms, invoke: Invoke) -> None:
    """The page's SQL makes an account that a key can be linked to."""
    for statement in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL):
        lms.run(statement)
    lms.enrollment("student-001")
    assert invoke({"student-001": "alice"})["linked"] == 1


def test_costs_of_alarms(resources: dict[str, Any]) -> None:
    """The alarms cost what the page says: ten cents for each metric that they watch."""
    costs = re.findall(r"\| alarms: .*?\| ([\d.]+) \| ([\d.]+) \|", PAGE)
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    watched = {
        name: sum("MetricStat" in each for each in alarm.get("Metrics", ())) or 1 for name, alarm in alarms.items()
    }
    conditional = sum(watched[name] for name in watched if resources[name].get("Condition") == "OwnDatabase")
    metrics = sum(watched.values()), sum(watched.values()) - conditional
    assert costs == [tuple(f"{each / 10:.2f}" for each in metrics)]
