// What the views build their elements with. Text reaches the document as text only: there is no way in for markup.

/** An element with attributes (functions are listeners, booleans are present or absent) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...present(children));
  return element;
}

/** Put children into an element, in place of what it had. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

function set(element, name, value) {
  if (typeof value === 'function') element.addEventListener(name, value);
  else if (value === true) element.setAttribute(name, '');
  else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
}

const NAMES = {
  9: 'tab', 10: 'line break', 13: 'carriage return', 0xa0: 'no-break space', 0xad: 'soft hyphen',
  0x200b: 'zero-width space', 0x200c: 'zero-width non-joiner', 0x200d: 'zero-width joiner', 0x200e: 'left-to-right mark',
  0x200f: 'right-to-left mark', 0x202e: 'right-to-left override', 0x202f: 'narrow no-break space',
  0x2060: 'word joiner', 0x3000: 'ideographic space', 0xfeff: 'byte order mark',
};
const UNSEEN = /([\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}|^ +| +$| {2,})/gu;

/** Text from elsewhere, with a visible sign for each character that cannot be seen or is easily overlooked. */
export function shown(value) {
  if (value === null || value === undefined || value === '') return null;
  const pieces = String(value).split(UNSEEN).filter((piece) => piece !== '');
  return h('bdi', {}, pieces.map((piece) => (piece.search(UNSEEN) === 0 && sign(piece)) || piece));
}

function sign(piece) {
  const code = piece.codePointAt(0);
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const spaces = piece.length > 1 ? `${piece.length} spaces` : 'space';
  const name = code === 0x20 ? spaces : NAMES[code] ?? hex;
  return h('span', { class: 'sign', title: code === 0x20 ? null : hex }, `[${name}]`);
}

/** Report something to a screen reader, which does not see what changed elsewhere on the page. */
export function say(sentence) {
  document.getElementById('said').textContent = sentence;
}

export const number = (value) => Number(value ?? 0).toLocaleString('en');

/** "1 line", "2,000 lines". */
export const count = (amount, noun) => `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** A moment in the reader's own time zone; the exact one is its title. */
export function moment(value) {
  if (!value) return '–';
  const date = new Date(value);
  const options = { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' };
  return h('time', { datetime: value, title: value }, Number.isNaN(+date) ? value : date.toLocaleString('en-GB', options));
}

/** A box with a sentence: kind is `fault`, `warning`, `good` or `note`. */
export function notice(kind, ...children) {
  return h('div', { class: `notice ${kind}`, role: kind === 'fault' ? 'alert' : null }, children);
}

/** What went wrong, in the words of the error; details are shown as a list. */
export function fault(error, ...more) {
  const details = error.details ?? [];
  const shownDetails = details.slice(0, 20).map((detail) => h('li', {}, shown(detail)));
  return notice('fault', h('p', {}, shown(error.message)), details.length ? h('ul', {}, shownDetails) : null, more);
}

export function field(label, control, hint) {
  const id = control.id || `field-${label.replace(/\W+/g, '-').toLowerCase()}`;
  control.id = id;
  if (hint) control.setAttribute('aria-describedby', `${id}-hint`);
  return h('div', { class: 'field' }, h('label', { for: id }, label), control, hint ? h('p', { class: 'hint', id: `${id}-hint` }, hint) : null);
}

export function checkbox(name, label, hint, isChecked = false) {
  const box = h('input', { type: 'checkbox', id: `field-${name}`, name, checked: isChecked, 'aria-describedby': `field-${name}-hint` });
  return h('div', { class: 'check' }, box, h('label', { for: box.id }, label), h('p', { class: 'hint', id: `field-${name}-hint` }, hint));
}

/** A link that saves a file which the page made; the bytes are exactly these. */
export function download(label, name, makeText) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([makeText()], { type: 'text/csv;charset=utf-8' }));
    h('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  return h('button', { type: 'button', class: 'download', click: save }, label);
}

export const UNCHANGED = 'Cells are written exactly as they are, so that no key is changed. A spreadsheet may take a cell that begins with =, +, - or @ for a formula: import such a file as text.';
