// A file of rows, as people have them: the encodings and delimiters of Excel, and what is refused by name.

import { NotCsv, records } from './csv.js';

export const MOST_FAULTS = 20;
const DELIMITERS = [',', ';', '\t'];

/** A file cannot be used as it is; `faults` has one sentence for each reason. */
export class InvalidFile extends Error {
  constructor(faults) {
    super('This cannot be used yet.');
    const more = faults.length - MOST_FAULTS;
    this.faults = more > 0 ? [...faults.slice(0, MOST_FAULTS), `and ${more.toLocaleString('en')} faults more`] : faults;
  }
}

/** The records that are not blank, cells trimmed: `[{line, cells}]`, from the bytes of a file. Raise `InvalidFile`. */
export function readTable(bytes) {
  return readPasted(decoded(bytes));
}

/** Likewise from text. */
export function readPasted(text) {
  const { body, delimiter, skipped } = delimited(text.replace(/^\uFEFF+/, ''));
  try {
    return [...records(body, delimiter)]
      .map(({ line, cells }) => ({ line: line + skipped, cells: cells.map(trimmed) }))
      .filter(({ cells }) => cells.some((cell) => cell !== ''));
  } catch (error) {
    if (error instanceof NotCsv) throw new InvalidFile([`line ${error.line + skipped}: not CSV: ${error.message}`]);
    throw error;
  }
}

function decoded(bytes) {
  const begins = (...values) => values.every((value, at) => bytes[at] === value);
  if (begins(0x50, 0x4b, 3, 4) || begins(0xd0, 0xcf, 0x11, 0xe0)) {
    throw new InvalidFile(['this is an Excel workbook: save it as CSV (in Excel: CSV UTF-8, comma delimited)']);
  }
  if (begins(0xff, 0xfe)) return utf16(bytes, 'utf-16le');
  if (begins(0xfe, 0xff)) return utf16(bytes, 'utf-16be');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InvalidFile([`line ${faultyLine(bytes)}: not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)`]);
  }
}

function utf16(bytes, encoding) {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidFile(['this begins as UTF-16 does, but is not: save the file as UTF-8']);
  }
}

/** The first line that is not UTF-8: what can be decoded with signs for the rest is searched for the first sign. */
function faultyLine(bytes) {
  let line = 1;
  for (let begins = 0; begins < bytes.length; line += 1) {
    const ends = bytes.indexOf(10, begins) + 1 || bytes.length;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(begins, ends));
    } catch {
      return line;
    }
    begins = ends;
  }
  return line;
}

function delimited(text) {
  const declared = /^sep=(.)(?:\r\n|\r|\n|$)/i.exec(text);
  if (declared) return { body: text.slice(declared[0].length), delimiter: declared[1], skipped: 1 };
  const first = text.split(/\r\n|\r|\n/).find((line) => line.trim()) ?? '';
  const unquoted = first.replace(/"[^"]*"/g, '');
  return { body: text, delimiter: DELIMITERS.find((each) => unquoted.includes(each)) ?? ',', skipped: 0 };
}

// What Python's str.strip takes away, and the byte order marks that some programs leave inside of a file.
const BLANKS = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]+';
const SURROUNDINGS = new RegExp(`^${BLANKS}|${BLANKS}$`, 'g');

const trimmed = (cell) => cell.replaceAll('\uFEFF', '').replace(SURROUNDINGS, '');

/** A column's name without what people write differently: case, spaces, `-` and `_`. */
export const bareName = (cell) => cell.toLowerCase().replace(/[\s_-]/g, '');
