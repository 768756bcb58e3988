// The frame of the page: its parts, who is signed in, and which view the address names.

import { fault, fill, h, notice, shown } from './dom.js';
import { begin, may, needsSignIn, person, signIn, signOut } from './sign-in.js';

const PARTS = [
  { name: 'link', title: 'Link', load: () => import('./link.js') },
  { name: 'program', title: 'Programs', load: () => import('./program.js') },
  { name: 'learner', title: 'Learners', load: () => import('./learner.js') },
  { name: 'rosters', title: 'Rosters', load: () => import('./rosters.js') },
];

const main = document.getElementById('main');
let settings = null;
let signInFault = null;
let leave = () => {};

/** The part and the parameters that the address names: `#/link?program=…`. */
function route() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const offered = PARTS.filter(({ name }) => settings.parts.includes(name));
  return { part: offered.find(({ name }) => name === path) ?? offered[0], parameters: new URLSearchParams(query) };
}

async function show({ isMove }) {
  leave();
  leave = () => {};
  if (needsSignIn()) return showSignIn();
  const { part, parameters } = route();
  showParts(part);
  document.title = `${part.title} – Program linking`;
  const place = h('div', { class: part.name });
  const arrived = open(part, place, parameters);
  fill(main, place);
  await arrived;
  if (isMove) main.focus();
}

async function open(part, place, parameters) {
  const gone = new AbortController();
  leave = () => gone.abort();
  try {
    const view = await part.load();
    await view.show(place, parameters, { settings, gone: gone.signal });
  } catch (error) {
    if (gone.signal.aborted) return;
    const isMissing = error instanceof TypeError; // how browsers report a module that cannot be loaded
    const sentence = 'This part of the page could not be loaded: the service is out of reach, or was updated. Reload the page.';
    if (isMissing) console.warn(error);
    fill(place, h('h1', {}, part.title), fault(isMissing ? new Error(sentence) : error));
  }
}

function showParts(current) {
  const links = PARTS.filter(({ name }) => settings.parts.includes(name)).map(({ name, title }) =>
    h('a', { href: `#/${name}`, 'aria-current': name === current?.name ? 'page' : null }, title));
  fill(document.getElementById('parts'), ...links);
  showPerson();
}

function showPerson() {
  const out = h('button', { type: 'button', click: signOut }, 'Sign out');
  const known = needsSignIn() ? h('button', { type: 'button', click: signIn }, 'Sign in') : person() !== null && [shown(person()), out];
  fill(document.getElementById('person'), known);
}

function showSignIn() {
  fill(document.getElementById('parts'));
  fill(main, h('h1', {}, 'Sign in'),
    signInFault ? fault(signInFault) : null,
    h('p', {}, 'Link student keys to accounts of the LMS, and see who is linked, who waits and why.'),
    h('button', { type: 'button', class: 'main', click: signIn }, 'Sign in'));
}

async function start() {
  try {
    const response = await fetch(new URL('page/settings.json', document.baseURI), { cache: 'no-store' });
    settings = await response.json();
  } catch {
    fill(main, h('h1', {}, 'Program linking'), fault(new Error('The service cannot be reached. Look at the network, then reload the page.')));
    return;
  }
  await begin(settings.sign_in).catch((error) => { signInFault = error; });
  if (!needsSignIn() && !may('read')) {
    fill(main, h('h1', {}, 'Not allowed'), notice('fault', h('p', {}, 'You are signed in, but have no right to this service. Ask who runs it for one of its scopes.')));
    showPerson();
    return;
  }
  addEventListener('hashchange', () => show({ isMove: true }));
  addEventListener('signed-out', showPerson);
  await show({ isMove: false });
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
start();
