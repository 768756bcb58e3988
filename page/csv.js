// CSV as Python's `csv` module reads it (strict, blanks after a delimiter skipped) and writes it.

/** The text is not CSV; `line` is where its record begins. */
export class NotCsv extends Error {
  constructor(line, message) {
    super(message);
    this.line = line;
  }
}

const LONGEST_CELL = 131_072; // as Python's reader has it: so long is only a quote that nobody closed
const OPEN = 'a quote is opened and not closed';
const BREAK = 'a value has a line break in it; look for a quote that is left open';

/** Each record with the number of the line that it is on: `{line, cells}`. Raise `NotCsv`, unless `isLenient`. */
export function* records(text, delimiter, first = 1, isLenient = false) {
  const reader = { text, delimiter, at: 0, line: first, isLenient, names: { ',': 'comma', ';': 'semicolon', '\t': 'tab' } };
  while (reader.at < text.length) {
    yield { line: reader.line, cells: record(reader) };
    reader.line += 1;
  }
}

function record(reader) {
  const cells = [];
  let hasBreak = false;
  for (;;) {
    const cell = nextCell(reader);
    if (cell.length > LONGEST_CELL) throw new NotCsv(reader.line, OPEN);
    hasBreak ||= cell.includes('\n') || cell.includes('\r');
    cells.push(cell);
    if (reader.text[reader.at] !== reader.delimiter) break;
    reader.at += 1;
  }
  if (hasBreak) throw new NotCsv(reader.line, BREAK);
  if (reader.text[reader.at] === '\r') reader.at += 1;
  if (reader.text[reader.at] === '\n') reader.at += 1;
  return cells;
}

function nextCell(reader) {
  while (reader.text[reader.at] === ' ') reader.at += 1;
  return reader.text[reader.at] === '"' ? quoted(reader) : plain(reader);
}

function plain(reader) {
  const begins = reader.at;
  while (!isEnd(reader)) reader.at += 1;
  return reader.text.slice(begins, reader.at);
}

function quoted(reader) {
  let value = '';
  for (;;) {
    const closing = reader.text.indexOf('"', reader.at + 1);
    if (closing < 0) return unclosed(reader, value);
    value += reader.text.slice(reader.at + 1, closing);
    reader.at = closing + 1;
    if (reader.text[reader.at] !== '"') break;
    value += '"';
  }
  if (isEnd(reader)) return value;
  if (reader.isLenient) return value + plain(reader);
  throw new NotCsv(reader.line, `between a closing quote and ${reader.names[reader.delimiter]} there is more; a quote in a value is doubled`);
}

function unclosed(reader, value) {
  if (!reader.isLenient) throw new NotCsv(reader.line, OPEN);
  const rest = reader.text.slice(reader.at + 1);
  reader.at = reader.text.length;
  return value + rest;
}

function isEnd({ text, at, delimiter }) {
  const character = text[at];
  return character === undefined || character === delimiter || character === '\n' || character === '\r';
}

/** Rows as CSV, for a spreadsheet too: the mark in front says that it is UTF-8. */
export function toCsv(rows) {
  return `\uFEFF${rows.map((row) => `${row.map(written).join(',')}\r\n`).join('')}`;
}

const written = (value) => {
  const text = String(value ?? '');
  return /[",;\t\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Failed lines in the columns that they came in, with code and message, as a file that can be handed in again. */
export function failedCsv(header, failed) {
  const width = failed.reduce((most, { cells }) => Math.max(most, cells.length), header.length);
  const kept = [...Array(width).keys()].filter((at) => !['code', 'message'].includes(header[at]));
  const rows = failed.map((line) => [...kept.map((at) => line.cells[at] ?? ''), line.outcome, line.message]);
  return toCsv([[...kept.map((at) => header[at] ?? ''), 'code', 'message'], ...rows]);
}
