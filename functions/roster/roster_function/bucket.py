"""The bucket: what lies where in it.

rosters/{program_uuid}/{name}.csv       the files, by whoever puts them there
results/{roster_id}/…                   what became of them
runs/{roster_id}/record.json            what is known of a roster
runs/{roster_id}/batches.jsonl          its requests, one a line
runs/{roster_id}/{phase}.jsonl          those that still have to be answered
runs/{roster_id}/{phase}/…              the answers that were kept
runs/{roster_id}/stop                   there if no further batch may start
runs/{roster_id}/trouble                why a batch failed for good
programs/{program_uuid}/…               the rosters of a program; the names sort the newest one first
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TextIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from program_enrollments.errors import InvalidFile
from program_enrollments.limits import MOST_BYTES
from roster_function.record import Record

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READERS = 16
CHUNK = 1 << 20
# What a time in milliseconds is taken from, so that the newest name sorts first.
LAST_MILLISECOND = 9_999_999_999_999
UPLOAD_SECONDS = 900
LINK_SECONDS = 3600
RESULTS = ("failed.csv", "results.csv", "summary.json")
STOP, TROUBLE = "stop", "trouble"
ABSENT = {"NoSuchKey", "NoSuchVersion", "404", "405"}


@cache
def s3() -> "S3Client":
    """The client. The links that it signs name the bucket's region, for a new bucket is known only there."""
    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"}, max_pool_connections=READERS)
    return boto3.client("s3", config=config)


def name() -> str:
    """The bucket's name."""
    return os.environ["ROSTER_BUCKET"]


def run(roster_id: str, part: str) -> str:
    """Where a part of a roster's run lies."""
    return f"runs/{roster_id}/{part}"


def known(roster_id: str) -> Record:
    """The record of a roster that is there."""
    return Record.model_validate_json(read(run(roster_id, "record.json")) or "")


def result(roster_id: str, part: str) -> str:
    """Where a part of a roster's results lies."""
    return f"results/{roster_id}/{part}"


def load(roster_id: str) -> Record | None:
    """The record of a roster; None if there is no such roster."""
    data = read(run(roster_id, "record.json"))
    return None if data is None else Record.model_validate_json(data)


def save(record: Record) -> Record:
    """Keep a record in place of what was known before; return it."""
    write(run(record.roster_id, "record.json"), record.model_dump_json(exclude_none=True).encode())
    return record


def enter(record: Record) -> Record:
    """Keep the record of a new roster, and list it under its program; return it."""
    age = LAST_MILLISECOND - int(datetime.fromisoformat(record.created).timestamp() * 1000)
    write(f"programs/{record.program_uuid}/{age:013}.{record.roster_id}", b"")
    return save(record)


def listed(program_uuid: str, most: int, after: str) -> tuple[list[Record], str | None]:
    """The rosters of a program, the newest one first, behind the one that `after` names; and the name of the last one.

    The name is None if there are no more.
    """
    prefix = f"programs/{program_uuid}/"
    page = s3().list_objects_v2(Bucket=name(), Prefix=prefix, StartAfter=prefix + after, MaxKeys=most)
    names = [each["Key"].removeprefix(prefix) for each in page.get("Contents", [])]
    with ThreadPoolExecutor(READERS) as pool:
        records = pool.map(load, [each.partition(".")[2] for each in names])
        return [record for record in records if record], names[-1] if page["IsTruncated"] else None


def read(path: str) -> bytes | None:
    """What an object holds; None if there is none."""
    try:
        return s3().get_object(Bucket=name(), Key=path)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def write(path: str, data: bytes) -> None:
    """Put an object."""
    s3().put_object(Bucket=name(), Key=path, Body=data)


def write_json(path: str, value: object) -> None:
    """Put an object that says a value in JSON."""
    write(path, json.dumps(value).encode())


def remove(path: str) -> None:
    """Take an object away, if it is there."""
    s3().delete_object(Bucket=name(), Key=path)


def exists(path: str) -> bool:
    """Whether there is an object."""
    return bool(s3().list_objects_v2(Bucket=name(), Prefix=path, MaxKeys=1).get("Contents"))


def is_stopped(roster_id: str) -> bool:
    """Whether no further batch of a roster may start."""
    return exists(run(roster_id, STOP))


def names(prefix: str) -> Iterator[str]:
    """The names behind a prefix, in their order."""
    for page in s3().get_paginator("list_objects_v2").paginate(Bucket=name(), Prefix=prefix):
        yield from (each["Key"].removeprefix(prefix) for each in page.get("Contents", []))


def lines(path: str) -> Iterator[Any]:
    """What each line of an object says in JSON."""
    return map(json.loads, s3().get_object(Bucket=name(), Key=path)["Body"].iter_lines(CHUNK))


def write_lines(path: str, values: Iterable[object]) -> int:
    """Put an object that says each value in JSON on a line of its own; return how many there are."""
    number = 0
    with written(path) as file:
        for number, value in enumerate(values, start=1):  # noqa: B007 - counted
            file.write(json.dumps(value) + "\n")
    return number


@contextmanager
def written(path: str, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A file on the disk that becomes an object when it is whole."""
    with NamedTemporaryFile("w+", encoding=encoding, newline="") as file:
        yield cast("TextIO", file)
        file.flush()
        s3().upload_file(file.name, name(), path)


def head(path: str, version: str | None) -> Mapping[str, Any] | None:
    """What S3 knows of an object beside its content; None if it is gone."""
    try:
        return s3().head_object(Bucket=name(), Key=path, **_version(version))
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def upload(path: str) -> dict[str, Any]:
    """Where and with which fields a form may put an object, for a quarter of an hour."""
    limits = [["content-length-range", 0, MOST_BYTES]]
    return dict(s3().generate_presigned_post(name(), path, Conditions=limits, ExpiresIn=UPLOAD_SECONDS))


def links(record: Record) -> dict[str, str]:
    """Links to the results of a roster, by their names, which are good for an hour."""
    parts = RESULTS if record.batches is not None else RESULTS[-1:]
    return {part: _link(result(record.roster_id, part), part) for part in parts}


def _link(path: str, shown: str) -> str:
    asked = {"Bucket": name(), "Key": path, "ResponseContentDisposition": f'attachment; filename="{shown}"'}
    return s3().generate_presigned_url("get_object", Params=asked, ExpiresIn=LINK_SECONDS)


def _version(version: str | None) -> Any:  # noqa: ANN401 - a keyword argument of boto3, or none
    return {"VersionId": version} if version else {}


def file(record: Record) -> bytes:
    """The file of a roster, in the version that was put; raise `InvalidFile` if it cannot be taken."""
    try:
        found = s3().get_object(Bucket=name(), Key=record.file, **_version(record.version))
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            raise InvalidFile(f"{record.file} is no longer in the bucket") from error
        raise
    if found["ContentLength"] > MOST_BYTES:
        raise InvalidFile(f"the file is larger than {MOST_BYTES // 1_000_000} MB: split it")
    return found["Body"].read()
