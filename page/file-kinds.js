// What a file is, by its first bytes, if it is not the text of a table. The same rules are in the core, in Python.

const MAGIC = [
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'an Excel workbook'], ['%PDF', 'a PDF document'], ['{\\rtf', 'a document in Rich Text Format'],
  ['\x1f\x8b', 'a gzip file'], ['BZh', 'a bzip2 file'], ['\xfd7zXZ\x00', 'an xz file'], ["7z\xbc\xaf'\x1c", 'a 7-Zip archive'],
  ['\x28\xb5\x2f\xfd', 'a Zstandard file'], ['Rar!\x1a\x07', 'a RAR archive'], ['SQLite format 3\x00', 'an SQLite database'],
  ['PAR1', 'a Parquet file'], ['\x89PNG', 'a picture'], ['\xff\xd8\xff', 'a picture'], ['GIF8', 'a picture'],
  ['\xff\xfe\x00\x00', 'text in UTF-32'], ['\x00\x00\xfe\xff', 'text in UTF-32'],
];
const ZIPPED = [
  ['mimetypeapplication/vnd.oasis.opendocument.', 'an OpenDocument spreadsheet'], ['xl/', 'an Excel workbook'],
  ['[Content_Types].xml', 'an Excel workbook'], ['Index/', 'a Numbers document'],
];
const MARKUP = /^\s*<(\?xml|!doctype|!--|html|head|body|table|meta|style)[\s>]/i;
const JSON_BEGINS = /^\s*(\[\s*([[{"]|\])|\{\s*("|\}))/;
const JSON_VALUE = /^\s*(?:\{\s*\}|\[\s*\]|\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[[{]|\[\s*"(?:[^"\\]|\\.)*"\s*[,\]](?!\s*[,;\t]))/;
const LOOKED_AT = 4096;

/** Name what the bytes of a file are; null if they may be the text of a table. */
export function otherKind(bytes) {
  const start = Array.from(bytes.subarray(0, LOOKED_AT), (byte) => String.fromCharCode(byte)).join('');
  const found = MAGIC.find(([magic]) => start.startsWith(magic));
  if (found) return found[1];
  if (start.startsWith('PK\x03\x04')) return ZIPPED.find(([name]) => start.includes(name))?.[1] ?? 'a zip archive';
  const text = start.replace(/^\xef\xbb\xbf/, '');
  const markup = MARKUP.exec(text);
  if (markup) return markup[1] === '?xml' ? 'XML' : 'an HTML page';
  if (JSON_BEGINS.test(text) && JSON_VALUE.test(text)) return 'JSON';
  return !/^(\xff\xfe|\xfe\xff)/.test(start) && isWide(start) ? 'text in UTF-16 without a byte order mark' : null;
}

/** Whether every other byte is NUL, as in letters of UTF-16. */
function isWide(start) {
  const pairs = Math.floor(start.length / 2);
  const zeros = (from) => [...start].filter((character, at) => at % 2 === from && character === '\0').length;
  return pairs > 1 && Math.max(zeros(0), zeros(1)) > pairs * 0.8;
}
