// A table of many rows, a page of them at a time; on a narrow screen each row is a card with labelled lines.

import { fill, h, number, say } from './dom.js';

const PAGE_ROWS = 100;

/** Rows of cells under titles: `columns` are `[{title, cell: row => node, isHead}]`. Roles are named, as CSS may turn rows into cards. */
export function table(caption, columns, rows) {
  const head = h('tr', { role: 'row' }, columns.map(({ title }) => h('th', { role: 'columnheader', scope: 'col' }, title)));
  return h('table', { role: 'table' },
    h('caption', {}, caption),
    h('thead', { role: 'rowgroup' }, head),
    h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' }, columns.map((column) => cell(column, row))))));
}

function cell({ title, cell: content, isHead }, row) {
  const attributes = isHead ? { role: 'rowheader', scope: 'row' } : { role: 'cell' };
  return h(isHead ? 'th' : 'td', { ...attributes, 'data-title': title }, h('div', {}, content(row)));
}

/** Likewise, in pages. */
export function pagedTable(caption, columns, rows) {
  const place = h('div', { class: 'paged' });
  const show = (first, isMoved) => {
    fill(place, table(caption, columns, rows.slice(first, first + PAGE_ROWS)), pager(first, rows.length, show));
    if (isMoved) place.scrollIntoView({ block: 'start' });
  };
  show(0, false);
  return place;
}

function pager(first, total, show) {
  if (total <= PAGE_ROWS) return h('p', { class: 'hint' }, `${number(total)} of ${number(total)}`);
  const last = Math.min(first + PAGE_ROWS, total);
  const range = `${number(first + 1)}–${number(last)} of ${number(total)}`;
  const move = (to) => () => {
    show(to, true);
    say(`Lines from ${number(to + 1)}`);
  };
  return h('p', { class: 'pager' },
    h('button', { type: 'button', click: move(first - PAGE_ROWS), disabled: first === 0 }, 'Previous'),
    h('span', {}, range),
    h('button', { type: 'button', click: move(last), disabled: last === total }, 'Next'));
}

/** A choice of one among several: `choices` are `[[value, label, count]]`, with or without a count; the first one is chosen. */
export function filter(legend, name, choices, onChange) {
  const items = choices.map(([value, label, count], at) => {
    const id = `${name}-${at}`;
    const radio = h('input', { type: 'radio', name, id, value, checked: at === 0, change: () => onChange(value) });
    return h('div', { class: 'choice' }, radio, h('label', { for: id }, label, count !== undefined && [' ', h('b', {}, number(count))]));
  });
  return h('fieldset', { class: 'filter' }, h('legend', {}, legend), items);
}
