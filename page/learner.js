// Learners: all that is known of a student key or an account, what is amiss, and what to do about it.

import { Problem, call } from './api.js';
import { count, fault, field, fill, h, moment, notice, say, shown } from './dom.js';
import { programField } from './programs.js';
import { table } from './table.js';

export async function show(place, parameters, { settings }) {
  const asked = { key: parameters.get('key') ?? '', username: parameters.get('username') ?? '', program: parameters.get('program') ?? '' };
  const outcome = h('section', { 'aria-label': 'Outcome', class: 'outcome' });
  fill(place, h('h1', {}, 'Learners'),
    h('p', {}, 'See where a learner stands: the program, its courses, what waits and why.'),
    await form(asked, settings), outcome);
  if (asked.key || asked.username) await look(outcome, asked);
}

async function form(asked, settings) {
  const key = h('input', { id: 'key', value: asked.key, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off' });
  const username = h('input', { id: 'username', value: asked.username, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off' });
  const program = await programField(asked.program, (uuid) => { asked.program = uuid; }, settings, { isOptional: true });
  return h('form', { submit: (event) => { event.preventDefault(); go({ key: key.value, username: username.value, program: asked.program }); } },
    h('div', { class: 'columns' }, field('Student key', key), field('or username', username)), program,
    h('div', { class: 'actions' }, h('button', { class: 'main' }, 'Look')));
}

/** Ask by the address, so that it can be kept, and the back button works. A key goes before a username. */
function go({ key, username, program }) {
  const query = key ? { key, ...(program && { program }) } : { username };
  const hash = `#/learner?${new URLSearchParams(query)}`;
  if (location.hash === hash) dispatchEvent(new Event('hashchange'));
  else location.hash = hash;
}

async function look(place, { key, username, program }) {
  fill(place, h('p', { class: 'hint' }, 'Looking.'));
  try {
    const query = key ? { external_user_key: key, program_uuid: program } : { username };
    const learner = await call('GET', 'learners', { query });
    fill(place, account(learner), findings(learner), learner.enrollments.map(enrollment));
    say(`${count(learner.enrollments.length, 'enrollment')}, ${count(learner.findings.length, 'finding')}`);
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error;
    fill(place, fault(error));
  }
}

const account = ({ account: known }) => known && h('p', {}, 'Account ', h('b', {}, shown(known.username)), known.is_active ? ', active.' : ', not active.');

function findings({ findings: found }) {
  if (!found.length) return notice('good', h('p', {}, 'Nothing is amiss, and nothing waits.'));
  return h('div', { class: 'findings' }, h('h2', {}, count(found.length, 'finding')), found.map(({ code, message, advice }) =>
    notice(code === 'waiting' ? 'note' : 'warning', h('p', {}, h('b', {}, shown(message))), h('p', {}, shown(advice)), h('p', { class: 'hint' }, h('code', {}, shown(code))))));
}

function enrollment(each) {
  const facts = [
    ['Program', h('a', { href: `#/program?${new URLSearchParams({ program: each.program_uuid })}`, class: 'uuid' }, shown(each.program_uuid))],
    ['Curriculum', h('span', { class: 'uuid' }, shown(each.curriculum_uuid))],
    ['Status', shown(each.status)],
    ['Created', moment(each.created)],
    ['Changed', moment(each.modified)],
  ];
  return h('article', { class: 'card' },
    h('h2', {}, 'Student key ', each.external_user_key === null ? 'none' : shown(each.external_user_key), ' ', holder(each)),
    h('dl', {}, facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
    each.courses.length ? table('Courses of the program', COURSE_COLUMNS, each.courses) : h('p', {}, 'It has no courses.'),
    history(each));
}

function holder({ holder: held }) {
  if (!held) return h('span', { class: 'badge wait' }, 'waiting');
  return h('span', { class: `badge ${held.is_active ? 'fine' : 'bad'}` }, shown(held.username), held.is_active ? '' : ' (not active)');
}

const COURSE_COLUMNS = [
  { title: 'Course', cell: ({ course_key: key }) => shown(key), isHead: true },
  { title: 'In the program', cell: ({ status }) => shown(status) },
  { title: 'In the LMS', cell: inLms },
  { title: 'Roles that wait', cell: ({ pending_roles: roles }) => (roles.length ? shown(roles.join(', ')) : null) },
];

function inLms({ course_exists: exists, course_enrollment: entered }) {
  if (!exists) return h('span', { class: 'badge bad' }, 'course unknown');
  if (!entered) return h('span', { class: 'badge wait' }, 'waits');
  const { mode, is_active: isActive, username } = entered;
  return [h('span', { class: `badge ${isActive ? 'fine' : 'bad'}` }, shown(mode), isActive ? ', active' : ', not active'), ' ', shown(username)];
}

function history(each) {
  const about = (name, some) => some.map((change) => ({ ...change, about: name }));
  const changes = [
    ...about('enrollment', each.history),
    ...each.courses.flatMap((course) => [...about(course.course_key, course.history), ...about(`${course.course_key} (LMS)`, course.course_enrollment?.history ?? [])]),
  ].toSorted((a, b) => (a.when < b.when ? 1 : -1));
  if (!changes.length) return h('p', { class: 'hint' }, 'It has no history.');
  return h('details', {}, h('summary', {}, `History: ${count(changes.length, 'change')}`), table('What changed, the newest first', HISTORY_COLUMNS, changes));
}

const HISTORY_COLUMNS = [
  { title: 'When', cell: ({ when }) => moment(when) },
  { title: 'Of', cell: ({ about }) => shown(about), isHead: true },
  { title: 'What', cell: ({ what, who }) => [what, who && ' by ', who && shown(who)] },
  { title: 'Fields', cell: ({ changes }) => Object.entries(changes).map(([name, { before, after }]) => h('div', {}, h('code', {}, name), ': ', before === undefined ? null : [value(before), ' → '], value(after))) },
];

const value = (content) => (content === null || content === '' ? 'none' : shown(String(content)));
