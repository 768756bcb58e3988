// Files of enrollments: student keys with the status that they are to have. The same rules are in the core, in Python.

import { InvalidFile, LONGEST_KEY, MOST_FAULTS, MOST_LINES, readTable, textFault, trimmed } from './table-file.js';

const LONGEST_STATUS = 100;
const UUID = /^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;
const STAFF = new Map([['true', true], ['false', false]]);
const COLUMNS = [
  { name: 'student_key', synonyms: ['external_user_key', 'external_key', 'external_student_key'] },
  { name: 'status' },
  { name: 'curriculum_uuid', synonyms: ['curriculum'], isOptional: true },
];
const COURSE_COLUMNS = [...COLUMNS, { name: 'course_staff', isOptional: true }];

/**
 * The lines of a file, as `{header, lines: [{line, cells, row}]}` with the row as the API takes it: for a program, or for
 * a course of it. `isNew` if enrollments may be made, which need a curriculum. Raise `InvalidFile`.
 */
export function readEnrollments(bytes, { isCourse, isNew }) {
  const { header, places, rows } = readTable(bytes, isCourse ? COURSE_COLUMNS : COLUMNS);
  const lines = rows.map(({ line, cells }) => ({ line, cells, row: rowOf((name) => trimmed(cells[places[name]] ?? '')) }));
  const found = faults(lines, isNew && !isCourse);
  if (found.length) throw new InvalidFile(found.slice(0, MOST_FAULTS), Math.max(0, found.length - MOST_FAULTS));
  if (!lines.length) throw new InvalidFile([header ? 'the file has a header and no line after it' : 'the file is empty']);
  if (lines.length > MOST_LINES) throw new InvalidFile([`there are more than ${MOST_LINES.toLocaleString('en')} lines: split the file`]);
  return { header: header ?? [COLUMNS[0].name, COLUMNS[1].name], lines };
}

/** What is no UUID, and neither true nor false, stays as it is written: it is a fault. */
function rowOf(cell) {
  const row = { student_key: cell('student_key'), status: cell('status') };
  const [curriculum, staff] = [cell('curriculum_uuid'), cell('course_staff').toLowerCase()];
  if (curriculum) row.curriculum_uuid = UUID.exec(curriculum)?.slice(1).join('-').toLowerCase() ?? curriculum;
  if (staff) row.course_staff = STAFF.get(staff) ?? staff;
  return row;
}

function faults(lines, needsCurriculum) {
  const first = new Map();
  return lines.flatMap(({ line, row }) => {
    const same = row.student_key.toLowerCase();
    const found = faultOf(row, needsCurriculum) ?? (first.has(same) && `student key ${row.student_key} provided multiple times, whatever its case; first in line ${first.get(same)}`);
    if (!found) first.set(same, line);
    return found ? [`line ${line}: ${found}`] : [];
  });
}

function faultOf({ student_key: key, status, curriculum_uuid: curriculum, course_staff: staff }, needsCurriculum) {
  if (typeof staff === 'string') return 'course_staff is neither true nor false';
  if (curriculum && !UUID.test(curriculum)) return `curriculum_uuid ${curriculum} is not a UUID`;
  if (!curriculum && needsCurriculum) return 'a new enrollment needs a curriculum_uuid';
  if (!status) return 'both values are needed: student_key,status';
  if (!key) return 'student_key is empty';
  return textFault('student_key', key, LONGEST_KEY) ?? textFault('status', status, LONGEST_STATUS);
}
