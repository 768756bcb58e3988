// The programs of the LMS with their numbers, and the field in which one is chosen.

import { call } from './api.js';
import { count, fault, field, h, number } from './dom.js';

let known = null;

/** `[{program_uuid, enrollments, linked, waiting}]`; asked for once, and again after a change. */
export function programs() {
  known ??= call('GET', 'programs').then((answer) => answer.programs);
  known.catch(() => forgetPrograms());
  return known;
}

export function forgetPrograms() {
  known = null;
}

export const numbers = ({ enrollments, linked, waiting }) => `${count(enrollments, 'enrollment')}: ${number(linked)} linked, ${number(waiting)} waiting.`;

/**
 * The field for a program. `onChange` gets its UUID. If the list cannot be had, the UUID is typed in.
 * `isOptional` adds the choice of none.
 */
export async function programField(chosen, onChange, { parts }, { isOptional = false } = {}) {
  if (!parts.includes('program')) return typed(chosen, onChange);
  try {
    return choice(await programs(), chosen, onChange, isOptional);
  } catch (error) {
    return h('div', {}, fault(error), typed(chosen, onChange));
  }
}

function typed(chosen, onChange) {
  const input = h('input', { id: 'program', value: chosen, spellcheck: 'false', autocomplete: 'off', change: () => onChange(input.value.trim()) });
  return field('Program', input, 'The UUID of the program.');
}

function choice(list, chosen, onChange, isOptional) {
  if (!list.length) return h('p', {}, 'The LMS has no program enrollments yet.');
  const hint = h('p', { class: 'hint', id: 'program-hint' });
  const options = list.map((program) => h('option', { value: program.program_uuid, selected: program.program_uuid === chosen }, option(program)));
  const none = isOptional ? 'All programs' : 'Choose a program';
  const select = h('select', { id: 'program', 'aria-describedby': 'program-hint', change: () => changed(true) }, h('option', { value: '' }, none), options);
  const changed = (isByHand) => {
    const program = list.find(({ program_uuid: uuid }) => uuid === select.value);
    hint.textContent = program ? numbers(program) : '';
    if (isByHand) onChange(select.value);
  };
  changed(false);
  return h('div', { class: 'field' }, h('label', { for: 'program' }, 'Program'), select, hint);
}

const option = ({ program_uuid: uuid, waiting, enrollments }) => `${uuid} (${number(waiting)} of ${number(enrollments)} waiting)`;
