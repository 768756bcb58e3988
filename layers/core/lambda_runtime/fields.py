"""The kinds of fields that requests to more than one function have."""

from typing import Annotated

from pydantic import Field, StringConstraints

from program_enrollments.limits import LONGEST_COURSE_KEY, LONGEST_SLUG

# A switch is true or false, and no word or number that might stand for it.
Option = Annotated[bool, Field(strict=True)]
Slug = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_SLUG, pattern=r"^[^\x00:]+$")]
CourseKey = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_COURSE_KEY, pattern=r"^[^\x00]+$")
]
