"""A file that arrived in the bucket: S3's event, through EventBridge, puts it on its way."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from lambda_runtime.observability import logger
from lambda_runtime.refusals import InvalidRequest
from lambda_runtime.rosters import EnrollmentOptions, LinkOptions, State
from roster_function import bucket, machine
from roster_function.options import read_metadata
from roster_function.record import Record, now

PLACE = re.compile(r"rosters/([^/]+)/.+")
WRONG_PLACE = "this is not a place for rosters: put the file at rosters/{program_uuid}/{name}.csv"


def arrive(event: Mapping[str, Any]) -> None:
    """Start the roster that the event of a new object is about; the same event again changes nothing.

    A file that was asked for with POST /rosters is that roster; each version of any other object is a roster of its
    own. Whoever puts an object that cannot be one finds a refused roster.
    """
    found = event["detail"]["object"]
    head = bucket.head(found["key"], found.get("version-id"))
    if head is None or not found["key"].lower().endswith(".csv"):
        reason = "the object is gone" if head is None else "its name does not end with .csv"
        logger.warning("An object that is no roster was put", extra={"reason": reason})
        return
    record = _awaited(found["key"], head) or _dropped(event, head)
    if record.attempt == 1 and record.state is State.CHECKING:
        machine.start(record)


def _awaited(file: str, head: Mapping[str, Any]) -> Record | None:
    """The roster that waits for the file, or did until this version of it came; None if there is none."""
    record = bucket.load(PurePosixPath(file).stem)
    if record is None or record.file != file:
        return None
    if record.state is State.WAITING:
        return bucket.save(_begun(record, head))
    return record if record.version == head.get("VersionId") else None


def _dropped(event: Mapping[str, Any], head: Mapping[str, Any]) -> Record:
    """The roster that the version of an object is: the one that is known already, or a new one."""
    detail = event["detail"]
    file = detail["object"]["key"]
    roster_id = str(uuid5(NAMESPACE_URL, f"s3://{bucket.name()}/{file}?versionId={head.get('VersionId')}"))
    if known := bucket.load(roster_id):
        return known
    program_uuid, options, faults = _read(file, head["Metadata"])
    record = Record(
        roster_id=roster_id,
        program_uuid=program_uuid,
        submitted_by=f"{detail.get('requester', 'unknown')} ({detail.get('source-ip-address', 'unknown')})",
        created=event.get("time") or now(),
        file=file,
        options=options,
        faults=faults,
    )
    return bucket.enter(_begun(record, head))


def _begun(record: Record, head: Mapping[str, Any]) -> Record:
    return record.but(version=head.get("VersionId"), state=State.CHECKING, attempt=1, started=now())


def _read(file: str, metadata: Mapping[str, str]) -> tuple[str, LinkOptions | EnrollmentOptions, list[str]]:
    """The program and the options that an object is put for, and what is wrong with them."""
    place = PLACE.fullmatch(file)
    program = place[1] if place else ""
    options: LinkOptions | EnrollmentOptions = LinkOptions()
    faults = []
    try:
        program = str(UUID(program))
    except ValueError:
        faults.append(f"{file}: {WRONG_PLACE}")
    try:
        options = read_metadata(metadata)
    except InvalidRequest as error:
        faults += [f"metadata {detail.where.replace('_', '-')}: {detail.what}" for detail in error.details]
    return program, options, faults
