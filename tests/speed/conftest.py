"""What PostgreSQL does for each statement of a verb."""

import json
from typing import Any

import pytest

from program_enrollments.postgres.session import Session

type Plan = dict[str, Any]


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What PostgreSQL did for each statement with parameters, since it was looked at last."""
    plans: list[Plan] = []
    query = Session.query

    def explained(self: Session, statement: str, **parameters: object) -> Any:  # noqa: ANN401 - as the method
        plan = query(self, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", **parameters)
        plans.append(dict((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))
        return query(self, statement, **parameters)

    monkeypatch.setattr(Session, "query", explained)
    return plans
