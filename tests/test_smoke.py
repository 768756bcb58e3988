"""The two ways in."""

from local.lms import Lms
from tests.support import Invoke, Post, load_event


def test_events_link(lms: Lms, invoke: Invoke, post: Post) -> None:
    """Both kinds of event are answered."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert post(load_event("api-link")["body"])[0] == 422
