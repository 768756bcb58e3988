"""What a file is, by its first bytes, if it is not the text of a table."""

import codecs
import json
import re

MAGIC = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel workbook",
    b"%PDF": "a PDF document",
    b"{\\rtf": "a document in Rich Text Format",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"Rar!\x1a\x07": "a RAR archive",
    b"SQLite format 3\x00": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    codecs.BOM_UTF32_LE: "text in UTF-32",
    codecs.BOM_UTF32_BE: "text in UTF-32",
}
ZIPPED = {
    b"mimetypeapplication/vnd.oasis.opendocument.": "an OpenDocument spreadsheet",
    b"xl/": "an Excel workbook",
    b"[Content_Types].xml": "an Excel workbook",
    b"Index/": "a Numbers document",
}
MARKUP = re.compile(rb"\s*<(\?xml|!doctype|!--|html|head|body|table|meta|style)[\s>]", re.IGNORECASE)
JSON = re.compile(rb"\s*(\[\s*([\[{\"]|\])|\{\s*(\"|\}))")
# Its first value may be longer than what is looked at.
LONG_JSON = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[\[{]')
LOOKED_AT = 4_096


def other_kind(data: bytes) -> str | None:
    """Name what the bytes of a file are; None if they may be the text of a table."""
    start = data[:LOOKED_AT]
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return kind
    if start.startswith(b"PK\x03\x04"):
        return next((kind for name, kind in ZIPPED.items() if name in start), "a zip archive")
    start = start.removeprefix(codecs.BOM_UTF8)
    if markup := MARKUP.match(start):
        return "XML" if markup[1] == b"?xml" else "an HTML page"
    if JSON.match(start) and _is_json(start):
        return "JSON"
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and _is_wide(start):
        return "text in UTF-16 without a byte order mark"
    return None


def _is_json(start: bytes) -> bool:
    """Whether it is JSON indeed: a key may begin with a bracket too."""
    text = start.decode("utf-8", errors="replace").lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return LONG_JSON.match(text) is not None
    return not re.match(r"[ \t]*[,;\t]", text[end:])


def _is_wide(start: bytes) -> bool:
    """Whether every other byte is NUL, as in letters of UTF-16."""
    pairs = len(start) // 2
    return pairs > 1 and max(start[::2].count(0), start[1::2].count(0)) > pairs * 0.8
