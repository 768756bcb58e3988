// Rosters: what was sent for a program, how far it is, what came of it; stop and resume.

import { label } from './batches.js';
import { call } from './api.js';
import { label as verdict } from './enrollment-form.js';
import { UNCHANGED, count, fault, fill, h, moment, notice, number, say, shown } from './dom.js';
import { programField } from './programs.js';
import { lastSent, send } from './roster-form.js';
import { table } from './table.js';

const EVERY_MILLISECONDS = 2000;
const RUNNING = new Set(['waiting-for-file', 'checking', 'linking']);
const RESUMABLE = new Set(['stopped', 'failed']);
const STATES = {
  'waiting-for-file': ['wait', 'waiting for its file'], checking: ['wait', 'being checked'], linking: ['wait', 'under way'],
  finished: ['fine', 'finished'], held: ['bad', 'held'], refused: ['bad', 'refused'], stopped: ['bad', 'stopped'], failed: ['bad', 'failed'],
};
const KINDS = {
  links: { label, button: 'Link the lines that can be linked', again: 'To link, hand the file in again under Link.' },
  enrollments: { label: verdict, button: 'Write the lines that can be written', again: 'To write, hand the file in again under Program.' },
};
const FILES = {
  'failed.csv': 'The failed lines (CSV)', 'results.csv': 'All lines with their outcome (CSV)', 'summary.json': 'The summary (JSON)',
};

export async function show(place, parameters, { settings, gone }) {
  const roster = parameters.get('roster');
  if (roster) return watch(place, roster, gone);
  const program = parameters.get('program') ?? '';
  const list = h('section', { 'aria-label': 'Rosters of the program', class: 'outcome' });
  const choose = (uuid) => { location.hash = `#/rosters?${new URLSearchParams({ program: uuid })}`; };
  fill(place, h('h1', {}, 'Rosters'), h('p', {}, 'Files that are too large to wait for, and those that a registrar’s system sends each night.'),
    h('div', { class: 'card' }, await programField(program, choose, settings)), list);
  if (program) await showList(list, program, '');
}

const LIST_COLUMNS = [
  { title: 'Sent', cell: ({ roster_id: id, created }) => h('a', { href: `#/rosters?${new URLSearchParams({ roster: id })}` }, moment(created)), isHead: true },
  { title: 'File', cell: ({ file }) => shown(nameOf(file)) },
  { title: 'By', cell: ({ submitted_by: person }) => shown(person) },
  { title: 'State', cell: ({ state }) => badge(state) },
  { title: 'Keys', cell: ({ keys }) => (keys === null || keys === undefined ? '–' : number(keys)) },
  { title: 'Failed', cell: ({ failed }) => number(sum(failed)) },
];

const nameOf = (file) => file.slice(file.lastIndexOf('/') + 1);
const sum = (failed) => Object.values(failed).reduce((a, b) => a + b, 0);
const badge = (state) => h('span', { class: `badge ${STATES[state]?.[0] ?? 'wait'}` }, STATES[state]?.[1] ?? state);

async function showList(place, program, cursor) {
  const page = await call('GET', 'rosters', { query: { program_uuid: program, cursor } });
  const older = page.next && h('p', { class: 'pager' }, h('button', { type: 'button', click: () => showList(place, program, page.next) }, 'Older ones'));
  fill(place, page.results.length ? table('Rosters, the newest first', LIST_COLUMNS, page.results) : h('p', {}, 'No roster was sent for this program.'), older);
}

/** Show a roster, again and again as long as it runs and is looked at. */
async function watch(place, id, gone) {
  const path = `rosters/${encodeURIComponent(id)}`;
  const trouble = h('div', {});
  const body = h('div', {});
  fill(place, h('p', { class: 'above' }, h('a', { href: '#/rosters' }, 'All rosters')), h('h1', {}, 'Roster'), trouble, body);
  let roster = await call('GET', path);
  while (!gone.aborted) {
    draw(body, roster, async (verb) => { await call('POST', `${path}/${verb}`); dispatchEvent(new Event('hashchange')); });
    if (!RUNNING.has(roster.state)) return say(`The roster is ${STATES[roster.state]?.[1] ?? roster.state}.`);
    await new Promise((resolve) => { setTimeout(resolve, EVERY_MILLISECONDS); });
    roster = await call('GET', path).then((now) => { fill(trouble); return now; }, (error) => { fill(trouble, fault(error)); return roster; });
  }
}

function draw(place, roster, act) {
  fill(place, head(roster), explanation(roster), faults(roster), progress(roster), counted(roster), actions(place, roster, act), files(roster));
}

function head(roster) {
  const options = Object.entries(roster.options).filter(([, value]) => value !== false).map(([name, value]) => (value === true ? name.replaceAll('_', ' ') : `${name.replaceAll('_', ' ')}: ${value}`));
  const facts = [
    ['State', badge(roster.state)], ['File', shown(nameOf(roster.file))], ['Sent', [moment(roster.created), ' by ', shown(roster.submitted_by)]],
    ['Program', h('a', { class: 'uuid', href: `#/program?${new URLSearchParams({ program: roster.program_uuid })}` }, shown(roster.program_uuid))],
    ['Options', options.length ? shown(options.join(', ')) : 'none'], ['Ended', moment(roster.ended)],
  ];
  return h('dl', { class: 'card' }, facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

const MEANINGS = {
  held: ['warning', 'More lines would fail than the roster allows, so nothing was changed. Look at the failed lines; correct them, or send the roster again without the limit.'],
  refused: ['fault', 'The file cannot be used as it is, and nothing was changed. Correct it and send it again.'],
  stopped: ['warning', 'It was stopped. What was done stays done; Resume goes on with the rest.'],
  failed: ['fault', 'It broke off. What was done stays done; Resume goes on with the rest.'],
};

function explanation(roster) {
  const [kind, sentence] = MEANINGS[roster.state] ?? [];
  if (!kind) return roster.message ? notice('note', h('p', {}, shown(roster.message))) : null;
  return notice(kind, h('p', {}, sentence), roster.message && h('p', {}, shown(roster.message)));
}

function faults({ faults: found, fault_count: amount }) {
  if (!found?.length) return null;
  const more = amount > found.length ? h('p', {}, `and ${count(amount - found.length, 'fault')} more`) : null;
  return h('div', {}, h('h2', {}, 'Faults of the file'), h('ul', {}, found.map((each) => h('li', {}, shown(each)))), more);
}

function progress({ state, keys, done }) {
  if (!keys) return RUNNING.has(state) ? h('progress', { 'aria-label': 'Waiting' }) : null;
  return h('div', {}, h('progress', { 'aria-label': 'Lines done', max: keys, value: done }), h('p', {}, `${number(done)} of ${count(keys, 'line')} done.`));
}

function counted({ linked, already_linked: already, written, failed, options, state }) {
  if (!linked && !already && !written && !sum(failed)) return null;
  const isDry = options.dry_run || state === 'held' || state === 'checking';
  const rows = [[isDry ? 'Can be linked' : 'Linked', linked, 'fine'], ['Linked already', already, 'fine'], [isDry ? 'Can be written' : 'As asked for', written, 'fine'], ...Object.entries(failed).map(([code, amount]) => [KINDS[options.kind].label(code), amount, 'bad'])].filter(([, amount]) => amount);
  const columns = [
    { title: 'Outcome', cell: ([name, , kind]) => h('span', { class: `badge ${kind}` }, name), isHead: true },
    { title: 'Lines', cell: ([, amount]) => number(amount) },
  ];
  return table(isDry ? 'What would become of the lines' : 'What became of the lines', columns, rows);
}

function actions(place, roster, act) {
  const outcome = h('div', {});
  const press = (verb) => act(verb).catch((error) => fill(outcome, fault(error)));
  const sent = lastSent(roster.roster_id);
  const { dry_run: _, hold_above_percent: __, ...request } = sent?.request ?? {};
  const canGoOn = roster.state === 'held' || (roster.state === 'finished' && roster.options.dry_run);
  return h('div', {}, h('div', { class: 'actions' },
    RUNNING.has(roster.state) && roster.state !== 'waiting-for-file' && h('button', { type: 'button', disabled: roster.stopping, click: () => press('stop') }, roster.stopping ? 'Stopping' : 'Stop'),
    RESUMABLE.has(roster.state) && h('button', { type: 'button', class: 'main', click: () => press('resume') }, 'Resume'),
    canGoOn && sent && h('button', { type: 'button', class: 'main', click: () => send(outcome, sent.source, request) }, KINDS[roster.options.kind].button)),
  canGoOn && !sent ? h('p', { class: 'hint' }, KINDS[roster.options.kind].again) : null, outcome);
}

function files({ results }) {
  const links = Object.entries(results ?? {}).map(([name, url]) => h('a', { class: 'button', href: url, download: name }, FILES[name] ?? name));
  return links.length ? h('div', { class: 'files' }, links, h('p', { class: 'hint' }, `The links are good for an hour; reload the page for new ones. ${UNCHANGED}`)) : null;
}
