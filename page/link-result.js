// What became of the lines: progress, counts, a table to look through, and files to take along.

import { counts, hasFailed, label } from './batches.js';
import { failedCsv, toCsv } from './csv.js';
import { UNCHANGED, count, download, fault, fill, h, notice, number, say, shown } from './dom.js';
import { filter, pagedTable } from './table.js';

/** Show where a run stands. */
export function showResult(place, run) {
  if (run.isRunning) showProgress(place, run);
  else showOutcome(place, run);
}

function showProgress(place, run) {
  const verb = run.isDryRun ? 'checked' : 'linked';
  if (!place.querySelector('progress')) {
    fill(place, h('div', { class: 'running' },
      h('progress', { 'aria-label': run.isDryRun ? 'Checking' : 'Linking' }), h('p', {}),
      h('p', { class: 'hint' }), h('button', { type: 'button', click: () => run.stop() }, 'Stop')));
    say(run.isDryRun ? 'Checking.' : 'Linking.');
  }
  const [sentence, note] = place.querySelectorAll('p');
  Object.assign(place.querySelector('progress'), { max: run.total, value: run.done });
  sentence.textContent = `${number(run.done)} of ${count(run.total, 'line')} ${verb}.`;
  note.textContent = run.note;
}

function showOutcome(place, run) {
  const heading = h('h2', { tabindex: '-1' }, run.fault ? 'Not finished' : run.isDryRun ? 'Checked' : 'Linked');
  const lines = h('div', {});
  const show = (outcome) => fill(lines, linesTable(run, outcome));
  fill(place, heading, summary(run), actions(run), outcomes(run, show), lines, files(run));
  show('');
  heading.focus();
  say(place.querySelector('.notice').textContent);
}

function summary(run) {
  const found = Object.fromEntries(counts(run.lines));
  const failed = run.lines.filter(({ outcome }) => outcome && hasFailed(outcome)).length;
  const already = found['already-linked'] ?? 0;
  if (run.fault) return unfinished(run);
  const also = `${number(already)} linked already, ${number(failed)} cannot be linked.`;
  if (run.isDryRun) {
    return notice(failed ? 'warning' : 'good', h('p', {}, `Of ${count(run.lines.length, 'line')}, ${number(found['can-be-linked'] ?? 0)} can be linked, ${also} Nothing has been changed.`));
  }
  return notice(failed ? 'warning' : 'good', h('p', {}, `${count(found.linked ?? 0, 'line')} linked, ${also}`));
}

function unfinished(run) {
  const what = run.isDryRun ? 'checked; nothing has been changed' : 'linked or refused, and stay so; sending the others again is safe';
  return fault(run.fault, h('p', {}, `${number(run.done)} of ${count(run.total, 'line')} are ${what}.`));
}

function actions(run) {
  const ready = run.lines.filter(({ outcome }) => outcome === 'can-be-linked').length;
  const goOn = h('button', { type: 'button', class: 'main', click: () => run.resume() }, run.isDryRun ? 'Go on checking' : 'Go on linking');
  const link = h('button', { type: 'button', class: 'main', click: () => run.link() }, `Link ${count(ready, 'learner')}`);
  if (run.fault) return h('div', { class: 'actions' }, goOn);
  return run.phase === 'checked' && ready ? h('div', { class: 'actions' }, link) : null;
}

function outcomes(run, show) {
  const choices = counts(run.lines).map(([outcome, amount]) => [outcome, label(outcome), amount]);
  return filter('Show', 'outcome', [['', 'All', run.lines.length], ...choices], show);
}

const COLUMNS = [
  { title: 'Line', cell: ({ line }) => number(line) },
  { title: 'Student key', cell: ({ key }) => shown(key), isHead: true },
  { title: 'Username', cell: ({ username }) => shown(username) },
  { title: 'Outcome', cell: ({ outcome = 'not-done' }) => badge(outcome) },
  { title: 'Message', cell: ({ message }) => shown(message ?? '') },
];

export const badge = (outcome) => h('span', { class: `badge ${hasFailed(outcome) ? 'bad' : 'fine'}` }, label(outcome));

function linesTable(run, outcome) {
  const rows = outcome ? run.lines.filter((line) => (line.outcome ?? 'not-done') === outcome) : run.lines;
  return pagedTable(outcome ? `Lines: ${label(outcome)}` : 'All lines', COLUMNS, rows);
}

function files(run) {
  const failed = run.lines.filter(({ outcome }) => outcome && hasFailed(outcome));
  return h('div', { class: 'files' },
    failed.length ? download(`Save the ${count(failed.length, 'failed line')} (CSV)`, 'failed.csv', () => failedCsv(run.header, failed)) : null,
    download('Save all lines with their outcome (CSV)', 'results.csv', () => resultsCsv(run)),
    failed.length ? h('p', { class: 'hint' }, 'The failed lines can be corrected in a spreadsheet and checked again as they are.') : null,
    h('p', { class: 'hint' }, UNCHANGED));
}

function resultsCsv({ lines }) {
  const rows = lines.map(({ key, username, outcome = 'not-done', message = '' }) => [key, username, hasFailed(outcome) ? 'failed' : outcome, hasFailed(outcome) ? outcome : '', message]);
  return toCsv([['external_user_key', 'lms_username', 'outcome', 'code', 'message'], ...rows]);
}
