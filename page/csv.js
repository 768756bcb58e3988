// CSV as Python's `csv` module reads it (strict, blanks after a delimiter skipped) and writes it.

/** The text is not CSV; `line` is where its record begins. */
export class NotCsv extends Error {
  constructor(line, message) {
    super(message);
    this.line = line;
  }
}

/** Each record with the number of the line on which it begins: `{line, cells}`. Raise `NotCsv`. */
export function* records(text, delimiter) {
  const reader = { text, delimiter, at: 0, line: 1 };
  while (reader.at < text.length) {
    const line = reader.line;
    yield { line, cells: record(reader, line) };
  }
}

function record(reader, line) {
  const cells = [];
  for (;;) {
    cells.push(cell(reader, line));
    if (reader.text[reader.at] !== reader.delimiter) break;
    reader.at += 1;
  }
  endOfLine(reader);
  return cells;
}

function cell(reader, line) {
  while (reader.text[reader.at] === ' ') reader.at += 1;
  return reader.text[reader.at] === '"' ? quoted(reader, line) : plain(reader);
}

function plain(reader) {
  const begins = reader.at;
  while (reader.at < reader.text.length && !isEnd(reader, reader.text[reader.at])) reader.at += 1;
  return reader.text.slice(begins, reader.at);
}

function quoted(reader, line) {
  let value = '';
  for (;;) {
    const closing = reader.text.indexOf('"', reader.at + 1);
    if (closing < 0) throw new NotCsv(line, 'unexpected end of data');
    value += reader.text.slice(reader.at + 1, closing);
    reader.at = closing + 1;
    if (reader.text[reader.at] !== '"') break;
    value += '"';
  }
  if (reader.at < reader.text.length && !isEnd(reader, reader.text[reader.at])) {
    throw new NotCsv(line, `'${reader.delimiter}' expected after '"'`);
  }
  reader.line += value.match(/\r\n|\r|\n/g)?.length ?? 0;
  return value;
}

const isEnd = (reader, character) => character === reader.delimiter || character === '\n' || character === '\r';

function endOfLine(reader) {
  if (reader.text[reader.at] === '\r') reader.at += 1;
  if (reader.text[reader.at] === '\n') reader.at += 1;
  reader.line += 1;
}

/** Rows as CSV, for a spreadsheet too: the mark in front says that it is UTF-8. */
export function toCsv(rows) {
  return `\uFEFF${rows.map((row) => `${row.map(written).join(',')}\r\n`).join('')}`;
}

const written = (value) => {
  const text = String(value ?? '');
  return /[",\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
