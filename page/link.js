// Link: lines are pasted or dropped, checked by a dry run, looked at, and linked.

import { checkbox, count, fault, field, fill, h, notice, number, say, shown } from './dom.js';
import { LinkRun } from './link-run.js';
import { programField } from './programs.js';
import { readRoster } from './roster-file.js';
import { showResult } from './link-result.js';
import { may } from './sign-in.js';
import { MOST_LINES, rosterForm } from './roster-form.js';

// What a person has typed, dropped and checked outlives a look at another part.
const LONGEST_SHOWN = 100_000; // characters; browsers take minutes to lay out much more in a text field
const draft = { program: '', text: '', file: null, relink: false, ignoreCase: false, curriculum: '', run: null };

export async function show(place, parameters, { settings }) {
  draft.program = parameters.get('program') ?? draft.program;
  const view = { place, settings, outcome: h('section', { 'aria-label': 'Outcome', class: 'outcome' }) };
  view.form = await form(view);
  fill(place, h('h1', {}, 'Link learners'),
    h('p', {}, 'Give each student key the account of its learner. Lines are checked first: nothing is changed until you press Link.'),
    may('link') ? null : notice('warning', h('p', {}, 'Your sign-in is for reading only: it can neither check nor link.')),
    view.form, view.outcome);
  if (draft.run) showRun(view);
}

async function form(view) {
  const program = await programField(draft.program, (uuid) => change(view, { program: uuid }), view.settings);
  const element = h('form', { submit: (event) => { event.preventDefault(); check(view); } },
    h('fieldset', { class: 'bare' }, program, lines(view), options(view),
      h('div', { class: 'actions' }, h('button', { class: 'main', disabled: !may('link') }, 'Check'), h('span', { class: 'hint' }, 'changes nothing'))));
  element.querySelector('fieldset').disabled = draft.run?.isRunning ?? false;
  return element;
}

/** Take a change of what would be sent: what was checked before is no longer shown. */
function change(view, changes) {
  Object.assign(draft, changes);
  draft.run = null;
  fill(view.outcome);
}

function lines(view) {
  const place = h('div', { class: 'lines' });
  const draw = () => fill(place, draft.file ? chosenFile(view, draw) : pasteBox(view, take));
  const take = (file) => {
    change(view, { file });
    draw();
    say(`${file.name} is chosen.`);
  };
  place.addEventListener('dragover', (event) => { event.preventDefault(); place.classList.add('over'); });
  place.addEventListener('dragleave', () => place.classList.remove('over'));
  place.addEventListener('drop', (event) => {
    event.preventDefault();
    place.classList.remove('over');
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  place.addEventListener('change', (event) => { if (event.target.type === 'file' && event.target.files[0]) take(event.target.files[0]); });
  draw();
  return place;
}

function pasteBox(view, take) {
  const box = h('textarea', { id: 'lines', rows: 8, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', placeholder: 'student-001,alice\nstudent-002,bob' });
  box.value = draft.text;
  box.addEventListener('paste', (event) => {
    const text = event.clipboardData.getData('text/plain');
    if (text.length <= LONGEST_SHOWN) return;
    event.preventDefault();
    take(new File([text], 'Pasted lines'));
  });
  box.addEventListener('input', () => change(view, { text: box.value }));
  return h('div', {},
    field('Student keys and usernames', box, 'One learner a line: student key, then username, with a comma, a semicolon or a tab between them. Column names in the first line are welcome.'),
    h('div', { class: 'file' }, h('label', { for: 'file' }, 'Or a CSV file, dropped here or chosen'), h('input', { type: 'file', id: 'file', accept: '.csv,.tsv,.txt,text/csv,text/plain' })));
}

function chosenFile(view, draw) {
  const remove = () => { change(view, { file: null }); draw(); view.place.querySelector('#lines').focus(); };
  return h('div', { class: 'chosen' },
    h('p', {}, h('span', { class: 'label' }, 'File '), h('b', {}, shown(draft.file.name)), ` (${count(Math.ceil(draft.file.size / 1024), 'kilobyte')})`),
    h('button', { type: 'button', click: remove }, 'Remove the file'));
}

function options(view) {
  const box = (name, key, label, hint) => {
    const made = checkbox(name, label, hint, draft[key]);
    made.querySelector('input').addEventListener('change', (event) => change(view, { [key]: event.target.checked }));
    return made;
  };
  const curriculum = h('input', { id: 'curriculum', value: draft.curriculum, spellcheck: 'false', autocomplete: 'off', input: () => change(view, { curriculum: curriculum.value.trim() }) });
  const isUsed = draft.relink || draft.ignoreCase || draft.curriculum;
  return h('details', { open: Boolean(isUsed) }, h('summary', {}, 'Options'),
    box('relink', 'relink', 'Move keys that another account holds', 'Without this, such a key fails as “held by another account”. With it, the other account is unlinked and leaves its courses’ master’s track.'),
    box('ignore-case', 'ignoreCase', 'Student keys match whatever their case', 'ABC-1 then also finds abc-1. An exact match goes first.'),
    field('Only this curriculum', curriculum, 'The UUID of a curriculum; empty: all of the program.'));
}

async function check(view) {
  change(view, {});
  try {
    if (!draft.program) throw new Error('Choose a program first.');
    const source = draft.file ? new Uint8Array(await draft.file.arrayBuffer()) : draft.text;
    const roster = readRoster(source, { ignoreCase: draft.ignoreCase });
    if (roster.lines.length > MOST_LINES && view.settings.parts.includes('rosters')) return showRosterForm(view, roster, source);
    draft.run = new LinkRun(roster, request());
  } catch (error) {
    return showFault(view, error);
  }
  showRun(view);
  await draft.run.check();
}

function request() {
  return {
    program_uuid: draft.program,
    ...(draft.relink && { relink: true }),
    ...(draft.ignoreCase && { ignore_case: true }),
    ...(draft.curriculum && { curriculum_uuid: draft.curriculum }),
  };
}

function showFault(view, error) {
  fill(view.outcome, fault({ message: error.message, details: error.faults ?? [] }));
}

function showRosterForm(view, roster, source) {
  fill(view.outcome, rosterForm(roster, source, request()));
  say(`${number(roster.lines.length)} lines: send them as a roster.`);
}

function showRun(view) {
  const { run } = draft;
  run.onChange = () => {
    if (draft.run !== run) return;
    view.form.querySelector('fieldset').disabled = run.isRunning;
    showResult(view.outcome, run);
  };
  run.onChange();
}
