// One roster on its way: checked first, then linked, and what became of each line.

import { batches, sendAll } from './batches.js';
import { say } from './dom.js';
import { forgetPrograms } from './programs.js';

/** Its `phase` is `checking`, `checked`, `linking` or `linked`; `fault` says why it stands still before its end. */
export class LinkRun {
  constructor({ header, lines }, request) {
    Object.assign(this, { header, lines, request, phase: 'checking', fault: null, waiting: [], done: 0, total: 0, note: '', onChange: () => {} });
  }

  get isRunning() {
    return this.controller !== undefined;
  }

  get isDryRun() {
    return this.phase === 'checking' || this.phase === 'checked';
  }

  /** Find out what would happen to each line. */
  check() {
    return this.#begin('checking', this.lines);
  }

  /** Link the lines that can be linked. */
  link() {
    return this.#begin('linking', this.lines.filter(({ outcome }) => outcome === 'can-be-linked'));
  }

  /** Go on where a fault or a stop left off. */
  resume() {
    return this.#send();
  }

  stop() {
    this.controller?.abort();
  }

  #begin(phase, lines) {
    for (const line of lines) line.outcome = undefined;
    Object.assign(this, { phase, waiting: batches(lines), done: 0, total: lines.length });
    return this.#send();
  }

  async #send() {
    Object.assign(this, { fault: null, note: '', controller: new AbortController() });
    addEventListener('beforeunload', hold);
    this.onChange();
    try {
      await sendAll(this.waiting, { ...this.request, dry_run: this.phase === 'checking' }, this.#listeners());
      this.phase = this.phase === 'checking' ? 'checked' : 'linked';
    } catch (error) {
      this.fault = error.name === 'AbortError' ? new Error('Stopped.') : error;
    }
    this.#end();
  }

  #listeners() {
    return {
      signal: this.controller.signal,
      onProgress: (lines) => { this.done += lines; this.note = ''; this.onChange(); },
      onWait: (note) => { this.note = note; say(note); this.onChange(); },
    };
  }

  #end() {
    removeEventListener('beforeunload', hold);
    this.controller = undefined;
    if (!this.isDryRun) forgetPrograms();
    this.onChange();
  }
}

/** Ask before the page is left while lines are on their way. */
function hold(event) {
  event.preventDefault();
}
