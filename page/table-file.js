// Files of comma-separated values, as people and spreadsheets write them. The same rules are in the core, in Python:
// whatever could be read in two ways is refused.

import { NotCsv, records } from './csv.js';
import { otherKind } from './file-kinds.js';

export const MOST_FAULTS = 20;
export const MOST_LINES = 1_000_000;
export const LONGEST_KEY = 255;
const MOST_BYTES = 200_000_000;
const DELIMITERS = { ',': 'commas', ';': 'semicolons', '\t': 'tabs' };
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'; // as Python has it: without U+FEFF
const AROUND_DELIMITER = new RegExp(`[${SPACE}]*([,;])[${SPACE}]*`, 'g');
const SEPARATOR = new RegExp(`^"?sep=(.)"?[${SPACE}]*$`, 'i');
const QUOTED = /"(?:[^"]|"")*"?/g;
const ENDS = /\r\n|\r|\n/;
const SAVE = 'save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)';

// What people call columns. A first line of such words in both places is a header, if not one that is understood.
export const COLUMN_WORDS = `
    external internal user student learner participant member person key id ids identifier number num no nr sid uid
    uuid guid code lms edx openedx open platform account login logon name names handle nick screen display first last
    given family middle full sur email e mail address university school college campus institution institutional partner
    registrar registration registry enrollment enrolment matriculation matric sis program programme course curriculum
    required optional new old current status
    matrikel nummer matrikelnummer benutzer benutzername vorname nachname kennung schlüssel konto
    clé cle utilisateur nom prénom prenom identifiant étudiant etudiant numéro numero matricule de du d l
    clave usuario nombre apellido apellidos estudiante alumno correo número matrícula matricula identificador
    usuário nome aluno chave utente studente matricola chiave gebruiker gebruikersnaam studentnummer sleutel naam
`.trim().split(/\s+/);
const COLUMN_NAME = new RegExp(`^(?:${COLUMN_WORDS.toSorted((a, b) => b.length - a.length).join('|')})+$`);

/** A file cannot be used as it is; `faults` has one sentence for each reason. */
export class InvalidFile extends Error {
  constructor(faults, others = 0) {
    super('This cannot be used yet.');
    this.faults = others ? [...faults, `and ${others.toLocaleString('en')} more faults`] : faults;
  }
}

/**
 * Read the bytes of a file whose columns (`[{name, synonyms, isOptional}]`) are named in its header or, without one, are
 * the required ones in their order. Return `{header, places, rows: [{line, cells}]}`; cells are as they stand in the file.
 */
export function readTable(bytes, columns) {
  if (bytes.length > MOST_BYTES) throw new InvalidFile([`the file is larger than ${MOST_BYTES / 1e6} MB: split it`]);
  const kind = otherKind(bytes);
  if (kind) throw new InvalidFile([`this is ${kind}: save it as CSV (in Excel: CSV UTF-8, comma delimited)`]);
  const { delimiter, number, rest } = begin(withoutMarks(decoded(bytes)), columns);
  const read = readRows(rest, delimiter, number);
  const first = read.next().value;
  const places = first ? placesIn(first, columns) : null;
  const others = [...noWider(read, first, delimiter)];
  if (places) return { header: first.cells.map(trimmed), places, rows: others };
  const required = columns.filter(({ isOptional }) => !isOptional);
  return { header: null, places: Object.fromEntries(required.map(({ name }, at) => [name, at])), rows: first ? [first, ...others] : [] };
}

/** The rows, unless one has more values than the first: its columns are not known if a value was in two. */
function* noWider(rows, first, delimiter) {
  for (const { line, cells } of rows) {
    if (cells.slice(first.cells.length).some((cell) => trimmed(cell))) {
      throw new InvalidFile([`line ${line}: it has more values than line ${first.line}; a value that has a ${DELIMITERS[delimiter].slice(0, -1)} in it must be in quotes`]);
    }
    yield { line, cells };
  }
}

/** Without byte order marks where lines begin: files are joined without much thought. The lines stay as many. */
const withoutMarks = (text) => text.replace(/(?<=\r)\uFEFF+(?=\n)/g, '\r').replace(/^\uFEFF+|(?<=[\r\n])\uFEFF+/g, '');

function decoded(bytes) {
  const [first, second] = bytes;
  try {
    if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le', { fatal: true }).decode(bytes);
    if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be', { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidFile(['the file is not whole: its UTF-16 breaks off, or holds half a character']);
  }
  return utf8(bytes) ?? refuseEncoding(bytes);
}

function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function refuseEncoding(bytes) {
  let [line, begins] = [1, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    const isEnd = bytes[at] === 10 || (bytes[at] === 13 && bytes[at + 1] !== 10);
    if (!isEnd) continue;
    if (utf8(bytes.subarray(begins, at)) === null) break;
    [line, begins] = [line + 1, at + 1];
  }
  throw new InvalidFile([`line ${line}: not UTF-8; ${SAVE}`]);
}

/** The delimiter, and the text from the first line that is not blank (or behind one that names the delimiter). */
function begin(text, columns) {
  const first = firstLine(text, 1);
  const separator = SEPARATOR.exec(first.line);
  if (!separator) return { delimiter: delimiterOf(first, columns), ...first };
  if (!(separator[1] in DELIMITERS)) throw new InvalidFile([`line ${first.number}: sep=${separator[1]} is not known: use a comma, a semicolon or a tab`]);
  const next = firstLine(first.rest.slice(first.line.length).replace(ENDS, ''), first.number + 1);
  return { delimiter: separator[1], ...next };
}

function firstLine(text, number) {
  for (let rest = text; rest; number += 1) {
    const end = ENDS.exec(rest);
    const line = end ? rest.slice(0, end.index) : rest;
    if (trimmed(line)) return { line, number, rest };
    rest = end ? rest.slice(end.index + end[0].length) : '';
  }
  return { line: '', number, rest: '' };
}

function delimiterOf({ line, number }, columns) {
  const bare = trimmed(line.replace(QUOTED, '')).replace(AROUND_DELIMITER, '$1');
  const used = Object.keys(DELIMITERS).filter((delimiter) => bare.includes(delimiter));
  if (used.length < 2) return used[0] ?? ',';
  const understood = used.filter((delimiter) => isHeader(line, delimiter, columns));
  if (understood.length === 1) return understood[0];
  const header = columns.filter(({ isOptional }) => !isOptional).map(({ name }) => name).join(',');
  throw new InvalidFile([`line ${number}: it has ${used.map((each) => DELIMITERS[each]).join(' and ')}: say which of them separate values by a first line, ${header} or sep=${used[0]}`]);
}

function isHeader(line, delimiter, columns) {
  const [{ cells }] = records(line, delimiter, 1, true);
  const found = findColumns(cells, columns);
  return columns.every(({ name, isOptional }) => isOptional || found.has(name));
}

function* readRows(text, delimiter, number) {
  try {
    for (const row of records(text, delimiter, number)) if (row.cells.some((cell) => trimmed(cell))) yield row;
  } catch (error) {
    if (error instanceof NotCsv) throw new InvalidFile([`line ${error.line}: ${error.message}`]);
    throw error;
  }
}

function placesIn({ line, cells }, columns) {
  const found = findColumns(cells, columns);
  if (!found.size) return refuseUnknown(line, cells, columns);
  for (const column of columns) {
    const places = found.get(column.name) ?? [];
    if (!column.isOptional && !places.length) throw new InvalidFile([`line ${line}: the header lacks ${namesOf(column).join(' or ')}`]);
    if (places.length > 1) throw new InvalidFile([`line ${line}: ${places.map((place) => trimmed(cells[place])).join(' and ')} are the same column; leave one of them`]);
  }
  return Object.fromEntries([...found].map(([name, [place]]) => [name, place]));
}

function refuseUnknown(line, cells, columns) {
  const required = columns.filter(({ isOptional }) => !isOptional).length;
  const names = cells.slice(0, required).map((cell) => cell.replace(/[^\p{L}\p{N}]+/gu, '').toLowerCase());
  if (names.length < required || !names.every((name) => COLUMN_NAME.test(name))) return null;
  throw new InvalidFile([`line ${line}: these columns are not known; known are ${columns.map((column) => namesOf(column).join(' or ')).join(', ')}`]);
}

/** Where each column is named in a header, whatever the case and however its words are joined. */
export function findColumns(cells, columns) {
  const known = new Map(columns.flatMap((column) => namesOf(column).map((name) => [joined(name), column.name])));
  const found = new Map();
  cells.forEach((cell, place) => {
    const name = known.get(joined(cell));
    if (name) found.set(name, [...(found.get(name) ?? []), place]);
  });
  return found;
}

export const namesOf = ({ name, synonyms = [] }) => [name, ...synonyms];
const JOINTS = new RegExp(`[${SPACE}_\uFEFF-]+`, 'g');
const joined = (name) => name.replace(JOINTS, '').toLowerCase();

const SURROUNDINGS = new RegExp(`^[${SPACE}\uFEFF]+|[${SPACE}\uFEFF]+$`, 'g');

/** Why a text cannot be taken as it is, with its name; null if it can. */
export function textFault(name, text, longest) {
  if ([...text].length > longest) return `${name} is longer than ${longest} characters`;
  return text.includes('\0') ? `${name} has a NUL character` : null;
}

/** A cell without the white space and the byte order marks around its value. */
export const trimmed = (cell) => cell.replace(SURROUNDINGS, '');
