import { h } from './dom.js';
export function enrollmentForm() { return h('p', {}, ''); }
