// A roster: student keys, each with the username of its account. The same rules are in the core, in Python.

import { InvalidFile, LONGEST_KEY, MOST_FAULTS, MOST_LINES, findColumns, readTable, textFault, trimmed } from './table-file.js';

const LONGEST_USERNAME = 150;
export const COLUMNS = ['external_user_key', 'lms_username'];
const KNOWN_COLUMNS = [
  { name: COLUMNS[0], synonyms: ['external_key', 'student_key', 'external_student_key'] },
  { name: COLUMNS[1], synonyms: ['username', 'lms_user'] },
];

/** The lines of a roster, as `{header, lines: [{line, key, username, cells}]}`, from bytes or text. Raise `InvalidFile`. */
export function readRoster(source, { ignoreCase = false } = {}) {
  const { header, places, rows } = readTable(typeof source === 'string' ? new TextEncoder().encode(source) : source, KNOWN_COLUMNS);
  if (!rows.length) throw new InvalidFile([header ? 'the file has a header and no line after it' : 'the file is empty']);
  const lines = rows.map(({ line, cells }) => lineOf(line, cells, places));
  refuseFaults(lines, ignoreCase);
  if (lines.length > MOST_LINES) throw new InvalidFile([`there are more than ${MOST_LINES.toLocaleString('en')} lines: split the file`]);
  return { header: header ?? COLUMNS, lines };
}

function lineOf(line, cells, places) {
  const [rawKey, rawUsername] = COLUMNS.map((name) => cells[places[name]] ?? '');
  const [key, username] = [trimmed(rawKey), trimmed(rawUsername)];
  return { line, cells, key, username, amiss: amiss(rawKey, key, rawUsername, username) };
}

function amiss(rawKey, key, rawUsername, username) {
  if (!key || !username) return `both values are needed: ${COLUMNS.join(',')}`;
  if ((key[0] === '"' && key !== rawKey) || (username[0] === '"' && username !== rawUsername)) return 'a quote has something invisible before it';
  return /(?:name|user)$/i.test(username) && findColumns([key, username], KNOWN_COLUMNS).size > 1 ? 'a header again; join files without theirs' : null;
}

function refuseFaults(lines, ignoreCase) {
  const first = new Map();
  const faults = [];
  let others = 0;
  for (const line of lines) {
    const same = ignoreCase ? line.key.toLowerCase() : line.key;
    const wrong = line.amiss ?? textFault(COLUMNS[0], line.key, LONGEST_KEY) ?? textFault(COLUMNS[1], line.username, LONGEST_USERNAME);
    if (!wrong && !first.has(same)) first.set(same, line);
    else if (faults.length === MOST_FAULTS) others += 1;
    else faults.push(`line ${line.line}: ${wrong ?? repetition(line, first.get(same))}`);
  }
  if (faults.length) throw new InvalidFile(faults, others);
}

function repetition(line, other) {
  if (line.key === other.key) return `external user key ${line.key} provided multiple times, first in line ${other.line}`;
  return `external user key ${line.key} differs only in case from ${other.key} in line ${other.line}`;
}
