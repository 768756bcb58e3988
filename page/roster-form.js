// Sending a file that is too large to wait for: as a roster, which the service works off by itself.

import { Problem, call } from './api.js';
import { checkbox, count, fault, field, fill, h, say } from './dom.js';

/** From so many lines on, a file goes as a roster. */
export const MOST_LINES = 10_000;
const MOST_BYTES = 200_000_000;

// The roster that this page sent last, so that a dry run can be followed by the real one without the file at hand.
let last = null;

export const lastSent = (rosterId) => (last?.rosterId === rosterId ? last : null);

/** The form that sends lines as a roster. */
export function rosterForm({ lines }, source, request) {
  const percent = h('input', { type: 'number', id: 'hold', min: 0, max: 100, step: 'any', value: 5, inputmode: 'decimal' });
  const onlyCheck = checkbox('only-check', 'Only check', 'A dry run: each line’s outcome is found out, and nothing is changed.', true);
  const outcome = h('div', {});
  const submit = (event) => {
    event.preventDefault();
    const hold = percent.value === '' ? {} : { hold_above_percent: Number(percent.value) };
    const isDry = onlyCheck.querySelector('input').checked;
    send(outcome, source, { ...request, ...(isDry ? { dry_run: true } : hold) });
  };
  return h('form', { submit },
    h('h2', {}, `${count(lines.length, 'line')}: a roster`),
    h('p', {}, 'So many lines are sent as one file. The service works them off by itself, and you may close this page meanwhile: the roster stays in the list of rosters.'),
    onlyCheck,
    field('Change nothing if more than so many percent would fail', percent, 'All lines are run dry first. Empty: go on in any case. Of no use for a mere check.'),
    h('div', { class: 'actions' }, h('button', { class: 'main' }, 'Send the roster')), outcome);
}

/** Make a roster, send its file, and go where it can be watched. */
export async function send(place, source, request) {
  const blob = new Blob([source], { type: 'text/csv' });
  const progress = h('progress', { 'aria-label': 'Sending', max: blob.size || 1, value: 0 });
  fill(place, progress, h('p', {}, 'Sending the file.'));
  try {
    if (blob.size > MOST_BYTES) throw new Problem('The file is larger than 200 MB: cut it into several.');
    const { roster_id: rosterId, upload } = await call('POST', 'rosters', { body: request });
    await put(upload, blob, (bytes) => { progress.value = bytes; });
    last = { rosterId, source, request };
    say('The roster was sent.');
    location.hash = `#/rosters?${new URLSearchParams({ roster: rosterId })}`;
  } catch (error) {
    fill(place, fault(error));
  }
}

function put({ url, fields }, blob, onProgress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', blob);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () => (request.status < 300 ? resolve() : reject(new Problem(`The file was refused (${request.status}). Send it again.`)));
    request.onerror = () => reject(new Problem('The file could not be sent. Look at the network, then send it again.'));
    request.open('POST', url);
    request.send(form);
  });
}
