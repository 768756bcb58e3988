// A roster: student keys, each with the username of its account. The rules are those of the command and of the service.

import { InvalidFile, bareName, readPasted, readTable } from './table-file.js';

const LONGEST_KEY = 255;
const LONGEST_USERNAME = 150;
export const COLUMNS = ['external_user_key', 'lms_username'];
const KEY_NAMES = ['externaluserkey', 'externalkey', 'studentkey', 'externalstudentkey'];
const USERNAME_NAMES = ['lmsusername', 'username', 'lmsuser'];

/** The lines of a roster, as `{header, lines: [{line, key, username, cells}]}`. Raise `InvalidFile`. */
export function readRoster(source, { ignoreCase = false } = {}) {
  const rows = typeof source === 'string' ? readPasted(source) : readTable(source);
  const header = rows.length ? headerOf(rows[0]) : null;
  const { names, keyAt, usernameAt } = header ?? { names: COLUMNS, keyAt: 0, usernameAt: 1 };
  const lines = (header ? rows.slice(1) : rows).map(({ line, cells }) => ({
    line, cells, key: cells[keyAt] ?? '', username: cells[usernameAt] ?? '',
  }));
  if (!lines.length) throw new InvalidFile(['there is no line with a key and a username']);
  const faults = faultsOf(lines, ignoreCase);
  if (faults.length) throw new InvalidFile(faults);
  return { header: names, lines };
}

function headerOf({ line, cells }) {
  const names = cells.map(bareName);
  const keyAt = names.findIndex((name) => KEY_NAMES.includes(name));
  const usernameAt = names.findIndex((name) => USERNAME_NAMES.includes(name));
  if (keyAt >= 0 && usernameAt >= 0) return { names: cells, keyAt, usernameAt };
  if (keyAt >= 0) throw new InvalidFile([`line ${line}: the header has no ${COLUMNS[1]}`]);
  if (usernameAt >= 0) throw new InvalidFile([`line ${line}: the header has no ${COLUMNS[0]}`]);
  return null;
}

function faultsOf(lines, ignoreCase) {
  const first = new Map();
  const faults = [];
  for (const line of lines) {
    const same = ignoreCase ? line.key.toLowerCase() : line.key;
    const found = faultOf(line) ?? (first.has(same) ? repetition(line, first.get(same)) : null);
    if (found) faults.push(`line ${line.line}: ${found}`);
    else first.set(same, line);
  }
  return faults;
}

function faultOf({ key, username }) {
  if (!key || !username) return `both values are needed: ${COLUMNS.join(',')}`;
  return textFault(COLUMNS[0], key, LONGEST_KEY) ?? textFault(COLUMNS[1], username, LONGEST_USERNAME);
}

function textFault(column, text, longest) {
  if ([...text].length > longest) return `${column} is longer than ${longest} characters`;
  if (text.includes('\0')) return `${column} has a NUL character`;
  if (/[\r\n]/.test(text)) return `${column} has a line break: look for a quotation mark that is not closed`;
  return text.isWellFormed() ? null : `${column} has a lone surrogate, which is not a character`;
}

function repetition(line, other) {
  if (line.key === other.key) return `external user key ${line.key} provided multiple times, first in line ${other.line}`;
  return `external user key ${line.key} differs from ${other.key} in line ${other.line} only in case`;
}
