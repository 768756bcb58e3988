// Signing in at a Cognito user pool: authorization code with PKCE. Tokens stay in memory and end with the page.

const WAITING = 'program-linking-sign-in'; // what has to outlive the way to Cognito and back; never a token
const RENEW_BEFORE_SECONDS = 60;

/** Signing in failed or was refused; the message is a sentence for people. */
export class SignInFailed extends Error {}

let pool = null;
let session = null;

/** Begin with the pool of the configuration (null: the service needs no token), and finish a sign-in that is under way. */
export async function begin(configuredPool) {
  pool = configuredPool;
  const answer = new URLSearchParams(location.search);
  if (!pool || !(answer.has('code') || answer.has('error'))) return;
  const waiting = takeWaiting();
  history.replaceState(null, '', `${home()}${waiting?.hash ?? ''}`);
  session = await finish(answer, waiting);
}

export const needsSignIn = () => pool !== null && session === null;
export const person = () => session?.username ?? null;

/** Whether the person may `read` or `link`. Who may link may read; what somebody may who is not signed in is yet to be seen. */
export function may(what) {
  if (pool === null || session === null) return true;
  const { scopes } = session;
  return scopes.includes(pool.link_scope) || (what === 'read' && scopes.includes(pool.read_scope));
}

/** The access token, renewed if it is about to expire; null if the service needs none. Raise `SignInFailed`. */
export async function accessToken() {
  if (pool === null) return null;
  if (session === null) throw new SignInFailed('You are signed out. Sign in, then try again.');
  if (Date.now() > session.expires - RENEW_BEFORE_SECONDS * 1000) await renew();
  return session.token;
}

/** Leave for Cognito's own page; it comes back to this one. */
export async function signIn() {
  const [state, nonce, verifier] = [random(), random(), random()];
  sessionStorage.setItem(WAITING, JSON.stringify({ state, nonce, verifier, hash: location.hash }));
  const challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const scope = ['openid', pool.read_scope, pool.link_scope].filter(Boolean).join(' ');
  go('oauth2/authorize', {
    response_type: 'code', client_id: pool.client_id, redirect_uri: home(), scope, state, nonce,
    code_challenge: challenge, code_challenge_method: 'S256',
  });
}

/** Forget the tokens, and end Cognito's own session too. */
export function signOut() {
  session = null;
  go('logout', { client_id: pool.client_id, logout_uri: home() });
}

const home = () => document.baseURI;

function go(path, query) {
  location.assign(`${pool.url}/${path}?${new URLSearchParams(query)}`);
}

function takeWaiting() {
  const waiting = JSON.parse(sessionStorage.getItem(WAITING) ?? 'null');
  sessionStorage.removeItem(WAITING);
  return waiting;
}

async function finish(answer, waiting) {
  if (!waiting || answer.get('state') !== waiting.state) {
    throw new SignInFailed('This sign-in was not begun in this window, so it is not used. Sign in again.');
  }
  if (answer.has('error')) {
    throw new SignInFailed(`Signing in was refused: ${answer.get('error_description') ?? answer.get('error')}`);
  }
  const tokens = await askForTokens({
    grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: home(), code_verifier: waiting.verifier,
  });
  const identity = claims(tokens.id_token);
  if (identity.nonce !== waiting.nonce || identity.aud !== pool.client_id) {
    throw new SignInFailed('The answer belongs to another sign-in, so it is not used. Sign in again.');
  }
  return sessionOf(tokens);
}

async function renew() {
  const refreshToken = session.refreshToken;
  try {
    if (!refreshToken) throw new SignInFailed('no refresh token');
    const tokens = await askForTokens({ grant_type: 'refresh_token', refresh_token: refreshToken });
    session = sessionOf({ refresh_token: refreshToken, ...tokens });
  } catch {
    session = null;
    dispatchEvent(new Event('signed-out')); // the frame of the page listens
    throw new SignInFailed('Your sign-in has expired. Sign in again; what was done so far stays done, and repeating is safe.');
  }
}

async function askForTokens(fields) {
  const body = new URLSearchParams({ client_id: pool.client_id, ...fields });
  let answer;
  try {
    const response = await fetch(`${pool.url}/oauth2/token`, { method: 'POST', body, credentials: 'omit', redirect: 'error' });
    answer = response.ok ? await response.json() : null;
  } catch {
    throw new SignInFailed('The sign-in service cannot be reached. Look at the network, then sign in again.');
  }
  if (!answer?.access_token) throw new SignInFailed('The sign-in service refused the code that it gave itself. Sign in again.');
  return answer;
}

function sessionOf(tokens) {
  const { scope = '', username = '' } = claims(tokens.access_token);
  const expires = Date.now() + tokens.expires_in * 1000;
  return { token: tokens.access_token, refreshToken: tokens.refresh_token, scopes: scope.split(' ').filter(Boolean), username, expires };
}

/** What a token says. It came from Cognito itself over TLS; the API checks its signature at each call. */
function claims(token) {
  try {
    const text = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  } catch {
    throw new SignInFailed('The sign-in service gave a token that cannot be read. Sign in again.');
  }
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
