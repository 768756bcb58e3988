// Sending the lines of a roster in requests, and keeping what became of each line.

import { Problem, call } from './api.js';

export const BATCH_KEYS = 2000;

/**
 * Cut lines into batches; all lines of one account are in one batch, in their order, so that the outcome is
 * the one that a single request would have.
 */
export function batches(lines, most = BATCH_KEYS) {
  const byAccount = Map.groupBy(lines, (line) => line.username);
  const cut = [[]];
  for (const some of byAccount.values()) {
    if (cut.at(-1).length && cut.at(-1).length + some.length > most) cut.push([]);
    cut.at(-1).push(...some);
  }
  return cut.map((batch) => batch.toSorted((a, b) => a.line - b.line));
}

/**
 * Send the batches one after the other; give each line its `outcome` and `message`. A batch that is too large is halved.
 * Raise `Problem` if one cannot be sent: the lines without an outcome are those that were not answered.
 */
export async function sendAll(waiting, request, { onProgress, onWait, signal }) {
  while (waiting.length) {
    const batch = waiting[0];
    try {
      note(batch, await send(batch, request, { onWait, signal }), request.dry_run);
      waiting.shift();
      onProgress(batch.length);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 413 && batch.length > 1)) throw error;
      waiting.splice(0, 1, batch.slice(0, batch.length / 2), batch.slice(batch.length / 2));
    }
  }
}

/** The map is written by hand: an object of JavaScript would put keys that look like numbers first. */
function send(batch, request, options) {
  const pairs = batch.map(({ key, username }) => `${JSON.stringify(key)}:${JSON.stringify(username)}`);
  const body = `${JSON.stringify(request).slice(0, -1)},"external_keys_to_usernames":{${pairs.join(',')}}}`;
  return call('POST', 'links', { ...options, body });
}

function note(batch, answer, isDryRun) {
  for (const line of batch) {
    const code = Object.hasOwn(answer.error_codes, line.key) ? answer.error_codes[line.key] : null;
    line.outcome = code ?? (isDryRun ? 'can-be-linked' : 'linked');
    line.message = code ? answer.errors[line.key] : '';
  }
}

export const LABELS = {
  linked: 'Linked',
  'can-be-linked': 'Can be linked',
  'already-linked': 'Linked already',
  'user-not-found': 'No such username',
  'not-in-program': 'Not in this program',
  conflict: 'Held by another account',
  'course-not-found': 'Course unknown to the LMS',
  'integrity-error': 'Refused by the database',
  'ambiguous-key': 'Several keys match',
  'not-done': 'Not done',
};

export const label = (outcome) => LABELS[outcome] ?? outcome;

const GOOD = new Set(['linked', 'can-be-linked', 'already-linked']);

/** Whether a line is not as it was asked for. */
export const hasFailed = (outcome) => !GOOD.has(outcome);

/** How often each outcome occurs, the good ones first: `[[outcome, count]]`. */
export function counts(lines) {
  const found = Map.groupBy(lines, (line) => line.outcome ?? 'not-done');
  return [...found].map(([outcome, some]) => [outcome, some.length]).toSorted((a, b) => hasFailed(a[0]) - hasFailed(b[0]) || b[1] - a[1]);
}
