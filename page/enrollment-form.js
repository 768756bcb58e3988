// Enrolling by a file: keys get their places in a program, or in a course of it. Checked first, then written.

import { call } from './api.js';
import { readEnrollments } from './enrollment-file.js';
import { failedCsv } from './csv.js';
import { UNCHANGED, count, download, fault, field, fill, h, notice, number, say, shown } from './dom.js';
import { forgetPrograms } from './programs.js';
import { MOST_LINES, rosterForm } from './roster-form.js';
import { may } from './sign-in.js';
import { filter, pagedTable } from './table.js';

const BATCH_ROWS = 2000;
const VERDICTS = {
  duplicated: 'Twice in the request', 'invalid-status': 'No such status', conflict: 'There already, or active elsewhere',
  'not-in-program': 'Not in this program', 'not-found': 'Not in this course', 'internal-error': 'Refused by the database',
};

/** The form, in its own fold below a program. */
export function enrollmentForm(program, settings) {
  const file = h('input', { type: 'file', id: 'enrollments', accept: '.csv,.tsv,.txt,text/csv,text/plain' });
  const way = h('select', { id: 'way' }, h('option', { value: 'PUT' }, 'Make new enrollments and change those that are there'),
    h('option', { value: 'POST' }, 'Only make new enrollments'), h('option', { value: 'PATCH' }, 'Only change enrollments that are there'));
  const course = h('input', { id: 'course', spellcheck: 'false', autocomplete: 'off', placeholder: 'course-v1:…' });
  const outcome = h('section', { 'aria-label': 'Outcome of enrolling' });
  const idp = h('input', { id: 'idp', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', maxlength: 32 });
  const asked = () => ({ program, course: course.value.trim(), idp: idp.value.trim(), method: way.value, file: file.files[0] });
  const form = h('form', { submit: (event) => { event.preventDefault(); check(outcome, asked(), settings); }, change: () => fill(outcome) },
    h('p', {}, 'A CSV file with the columns student_key, status and curriculum_uuid (for a course: student_key, status and perhaps course_staff). Each line is checked first; nothing is changed until you press Write.'),
    field('File of enrollments', file), field('What to do', way),
    field('Course', course, 'Empty: places in the program (enrolled, pending, suspended, canceled, ended). A course key: places in that course (active, inactive).'),
    field('Identity provider', idp, 'The slug of a SAML provider, for new enrollments in the program: keys that it knows get their accounts at once. Empty: keys wait until they are linked.'),
    h('div', { class: 'actions' }, h('button', { class: 'main', disabled: !may('link') }, 'Check the file'), h('span', { class: 'hint' }, 'changes nothing')));
  return h('details', {}, h('summary', {}, 'Enroll keys by a file'), form, outcome);
}

async function check(place, asked, settings) {
  try {
    if (!asked.file) throw new Error('Choose a file first.');
    const bytes = new Uint8Array(await asked.file.arrayBuffer());
    if (asked.course && asked.idp) throw new Error('An identity provider is for new enrollments in the program: leave out one of course and identity provider.');
    const { header, lines } = readEnrollments(bytes, { isCourse: asked.course !== '', isNew: asked.method !== 'PATCH' });
    if (lines.length > MOST_LINES && settings.parts.includes('rosters')) return showRosterForm(place, asked, lines, bytes);
    await run(place, { ...asked, header, lines }, lines, true);
  } catch (error) {
    fill(place, fault({ message: error.message, details: error.faults ?? error.details ?? [] }));
  }
}

function showRosterForm(place, { program, course, idp, method }, lines, bytes) {
  const only = { POST: { create: true }, PATCH: { update: true } }[method];
  const given = Object.entries({ course_key: course, idp }).filter(([, value]) => value);
  fill(place, rosterForm({ lines }, bytes, { program_uuid: program, kind: 'enrollments', ...only, ...Object.fromEntries(given) }));
  say(`${number(lines.length)} lines: send them as a roster.`);
}

/** Send lines, a batch after the other; give each its `outcome`: the status that it has, or the verdict why not. */
async function run(place, asked, lines, isDry) {
  const path = `programs/${encodeURIComponent(asked.program)}${asked.course && `/courses/${encodeURIComponent(asked.course)}`}/enrollments`;
  const progress = h('progress', { 'aria-label': isDry ? 'Checking' : 'Writing', max: lines.length, value: 0 });
  const note = h('p', { class: 'hint' });
  fill(place, progress, note);
  for (let at = 0; at < lines.length; at += BATCH_ROWS) {
    const batch = lines.slice(at, at + BATCH_ROWS);
    const answer = await call(asked.method, path, { body: batch.map(({ row }) => row), query: { idp: asked.idp, dry_run: isDry ? 'true' : '' }, onWait: (text) => fill(note, text) });
    for (const line of batch) line.outcome = answer[line.row.student_key];
    progress.value = at + batch.length;
  }
  if (!isDry) forgetPrograms();
  show(place, asked, isDry);
}

/** Show what became of all lines of the file: those that the check refused are not written, and stay with their verdict. */
function show(place, asked, isDry) {
  const { lines } = asked;
  const ready = lines.filter(({ outcome }) => !(outcome in VERDICTS));
  const failed = lines.length - ready.length;
  const heading = h('h3', { tabindex: '-1' }, isDry ? 'Checked' : 'Written');
  const sentence = isDry
    ? `Of ${count(lines.length, 'line')}, ${number(ready.length)} can be written and ${number(failed)} cannot. Nothing has been changed.`
    : `${count(ready.length, 'line')} written, ${number(failed)} not.`;
  const write = () => run(place, asked, ready, false)
    .catch((error) => fill(place, fault(error, h('p', {}, 'Lines that were written before stay so. Check the file again: what is as asked for already is left as it is.'))));
  const table = h('div', {});
  const draw = (outcome) => fill(table, pagedTable('Lines of the file', COLUMNS, outcome ? lines.filter((line) => line.outcome === outcome) : lines));
  fill(place, heading, notice(failed ? 'warning' : 'good', h('p', {}, sentence)),
    isDry && ready.length > 0 && h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', click: write }, `Write ${count(ready.length, 'enrollment')}`)),
    filter('Show', 'enrolling', [['', 'All', lines.length], ...[...Map.groupBy(lines, ({ outcome }) => outcome)].map(([outcome, some]) => [outcome, label(outcome), some.length])], draw), table, failed > 0 && failedFile(asked));
  draw('');
  heading.focus();
  say(sentence);
}

function failedFile({ header, lines }) {
  const failed = lines.filter(({ outcome }) => outcome in VERDICTS).map((line) => ({ ...line, message: label(line.outcome) }));
  return h('div', { class: 'files' },
    download(`Save the ${count(failed.length, 'failed line')} (CSV)`, 'failed.csv', () => failedCsv(header, failed)),
    h('p', { class: 'hint' }, 'The failed lines can be corrected in a spreadsheet and checked again as they are. ', UNCHANGED));
}

export const label = (outcome) => VERDICTS[outcome] ?? outcome;

const COLUMNS = [
  { title: 'Line', cell: ({ line }) => number(line) },
  { title: 'Student key', cell: ({ row }) => shown(row.student_key), isHead: true },
  { title: 'Status', cell: ({ row }) => shown(row.status) },
  { title: 'Outcome', cell: ({ outcome }) => h('span', { class: `badge ${outcome in VERDICTS ? 'bad' : 'fine'}` }, shown(label(outcome))) },
];
