// The API, as the page calls it: what goes wrong becomes one sentence, and what may pass is tried again.

import { accessToken } from './sign-in.js';

const TRIES = 5;
const LONGEST_WAIT_SECONDS = 60;
const ANSWERS = new Set([200, 201, 202, 204, 207, 422]);
const BUSY = new Set([429, 502, 503, 504]);

/** The API did not do what was asked for; the message is a sentence for people. */
export class Problem extends Error {
  constructor(message, { status = 0, details = [] } = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** Call the API with a body (a string is JSON already); return the JSON object of its answer. Raise `Problem`. `onWait` hears of each wait for a busy service. */
export async function call(method, path, { body, query, onWait = () => {}, signal } = {}) {
  for (let triesLeft = TRIES - 1; ; triesLeft -= 1) {
    const response = await send(method, path, { body, query, signal });
    if (ANSWERS.has(response.status)) return read(response);
    if (!BUSY.has(response.status) || triesLeft === 0) throw await problem(response);
    await wait(response, onWait, signal);
  }
}

function address(path, query) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined && value !== '') url.searchParams.set(name, value);
  return url;
}

async function send(method, path, { body, query, signal }) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const token = await accessToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  try {
    return await fetch(address(path, query), { method, headers, body: text, signal, cache: 'no-store', redirect: 'error' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('The service cannot be reached. Look at the network, then try again.');
  }
}

async function read(response) {
  if (response.status === 204) return {};
  try {
    return await response.json();
  } catch {
    throw new Problem('The connection was cut before the whole answer was here. Try again: repeating is safe.', { status: response.status });
  }
}

async function wait(response, onWait, signal) {
  const asked = Number(response.headers.get('Retry-After')) || 5;
  const seconds = Math.min(Math.max(asked, 1), LONGEST_WAIT_SECONDS);
  onWait(`The service is busy (${response.status}): trying again in ${seconds} s.`);
  await new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', () => reject(signal.reason));
  });
}

const MEANINGS = {
  401: 'You are not signed in, or no longer. Sign in, then try again.',
  403: 'You are not allowed to do this. Ask who runs the service for the right to it.',
  404: 'The service does not have this.',
  413: 'This is too large for one request.',
  429: 'The service has more to do than it takes at once. Try again in a minute.',
};

async function problem(response) {
  const { status } = response;
  const answer = await response.json().catch(() => ({}));
  const own = status === 401 || status === 403 || status === 429 ? null : answer.message ?? answer.Message;
  const details = (answer.details ?? []).map(({ where, what }) => `${where}: ${what}`);
  return new Problem(own || MEANINGS[status] || `The service answered ${status} and did not say why. Try again later.`, { status, details });
}
