// Programs: how many are linked and how many wait, who they are, and the waiting keys as a file.

import { call } from './api.js';
import { toCsv } from './csv.js';
import { UNCHANGED, count, download, fault, field, fill, h, moment, notice, number, say, shown } from './dom.js';
import { enrollmentForm } from './enrollment-form.js';
import { forgetPrograms, numbers, programs } from './programs.js';
import { filter, table } from './table.js';

const STATUSES = ['enrolled', 'pending', 'suspended', 'canceled', 'ended'];
const LARGEST_PAGE = 1000;
const PAGE_ROWS = 100;

export async function show(place, parameters, { settings }) {
  forgetPrograms();
  const list = await programs();
  const uuid = parameters.get('program');
  const program = list.find((each) => each.program_uuid === uuid) ?? (uuid && { program_uuid: uuid, enrollments: 0, linked: 0, waiting: 0 });
  fill(place, ...(program ? one(program, parameters, settings) : all(list)));
}

const ALL_COLUMNS = [
  { title: 'Program', cell: ({ program_uuid: uuid }) => h('a', { href: address({ program: uuid }) }, shown(uuid)), isHead: true },
  { title: 'Enrollments', cell: ({ enrollments }) => number(enrollments) },
  { title: 'Linked', cell: ({ linked }) => number(linked) },
  { title: 'Waiting', cell: ({ waiting }) => number(waiting) },
];

function all(list) {
  return [h('h1', {}, 'Programs'), list.length ? table('Programs that have enrollments', ALL_COLUMNS, list) : notice('note', h('p', {}, 'The LMS has no program enrollments yet.'))];
}

const address = (parameters) => `#/program?${new URLSearchParams(Object.entries(parameters).filter(([, value]) => value))}`;

function one(program, parameters, settings) {
  const uuid = program.program_uuid;
  const query = { waiting: parameters.get('waiting') ?? '', status: parameters.get('status') ?? '' };
  const enrollments = h('div', {});
  showEnrollments(enrollments, uuid, query);
  return [
    h('p', { class: 'above' }, h('a', { href: '#/program' }, 'All programs')),
    h('h1', {}, 'Program ', h('span', { class: 'uuid' }, shown(uuid))),
    h('p', {}, numbers(program)),
    meter(program),
    h('div', { class: 'actions' }, h('a', { class: 'button', href: `#/link?${new URLSearchParams({ program: uuid })}` }, 'Link learners of this program'), waitingKeys(program)),
    h('p', { class: 'hint' }, 'The file of waiting keys has an empty column for usernames: fill it in, and hand it to Link. ', UNCHANGED),
    h('h2', {}, 'Enrollments'), filters(enrollments, uuid, query), enrollments,
    settings.parts.includes('enrolling') ? enrollmentForm(uuid, settings) : null,
  ].filter(Boolean);
}

function meter({ enrollments, linked }) {
  return h('meter', { min: 0, max: Math.max(enrollments, 1), value: linked, 'aria-label': `${number(linked)} of ${number(enrollments)} linked` });
}

function filters(place, uuid, query) {
  const apply = (changes) => {
    Object.assign(query, changes);
    history.replaceState(null, '', address({ program: uuid, ...query }));
    showEnrollments(place, uuid, query);
  };
  const choices = [['', 'All'], ['true', 'Waiting'], ['false', 'Linked']].toSorted((a, b) => (b[0] === query.waiting) - (a[0] === query.waiting));
  const statuses = h('select', { change: () => apply({ status: statuses.value }) }, h('option', { value: '' }, 'Any status'), STATUSES.map((status) => h('option', { selected: status === query.status }, status)));
  return h('div', { class: 'filters' }, filter('Show', 'waiting', choices, (waiting) => apply({ waiting })), field('Status', statuses));
}

const COLUMNS = (uuid) => [
  { title: 'Student key', cell: ({ student_key: key }) => h('a', { href: `#/learner?${new URLSearchParams({ key, program: uuid })}` }, shown(key)), isHead: true },
  { title: 'Account', cell: ({ username, account_exists: exists }) => (exists ? shown(username) : h('span', { class: 'badge wait' }, 'waiting')) },
  { title: 'Status', cell: ({ status }) => shown(status) },
  { title: 'Curriculum', cell: ({ curriculum_uuid: curriculum }) => h('span', { class: 'uuid' }, shown(curriculum)) },
  { title: 'Changed', cell: ({ modified }) => moment(modified) },
];

async function showEnrollments(place, uuid, query, cursor = '') {
  place.setAttribute('aria-busy', 'true');
  try {
    const page = await call('GET', `programs/${encodeURIComponent(uuid)}/enrollments`, { query: { ...query, cursor, page_size: PAGE_ROWS } });
    fill(place, page.results.length ? table('Enrollments', COLUMNS(uuid), page.results) : h('p', {}, 'There is none.'), pager(place, uuid, query, page));
    say(count(page.results.length, 'enrollment'));
  } catch (error) {
    fill(place, fault(error, h('button', { type: 'button', click: () => showEnrollments(place, uuid, query, cursor) }, 'Try again')));
  }
  place.removeAttribute('aria-busy');
}

function pager(place, uuid, query, { next, previous }) {
  if (!next && !previous) return null;
  const move = (url) => async () => {
    await showEnrollments(place, uuid, query, cursorOf(url));
    place.scrollIntoView({ block: 'start' });
  };
  return h('p', { class: 'pager' },
    h('button', { type: 'button', disabled: !previous, click: move(previous) }, 'Previous'),
    h('button', { type: 'button', disabled: !next, click: move(next) }, 'Next'));
}

const cursorOf = (url) => new URL(url, document.baseURI).searchParams.get('cursor');

function waitingKeys({ program_uuid: uuid, waiting }) {
  if (!waiting) return null;
  const place = h('span', { class: 'hint' });
  const button = h('button', { type: 'button', click: async () => {
    button.disabled = true;
    await saveWaiting(uuid, place);
    button.disabled = false;
  } }, `Save the ${count(waiting, 'waiting key')} (CSV)`);
  return h('span', {}, button, ' ', place);
}

async function saveWaiting(uuid, place) {
  const rows = [];
  try {
    for (let cursor = ''; cursor !== null;) {
      const page = await call('GET', `programs/${encodeURIComponent(uuid)}/enrollments`, { query: { waiting: 'true', cursor, page_size: LARGEST_PAGE } });
      rows.push(...page.results);
      place.textContent = `${number(rows.length)} read`;
      cursor = page.next ? cursorOf(page.next) : null;
    }
  } catch (error) {
    fill(place, shown(`${error.message} Nothing was saved.`));
    return;
  }
  const cells = rows.map((row) => [row.student_key, '', row.status, row.curriculum_uuid]);
  download('', `waiting-${uuid}.csv`, () => toCsv([['external_user_key', 'lms_username', 'status', 'curriculum_uuid'], ...cells])).click();
  place.textContent = `${count(rows.length, 'key')} saved.`;
}
