import { h } from './dom.js';
export const MOST_LINES = 10_000;
export function rosterForm() { return h('p', {}, ''); }
