// The search: the newest question wins. Older answers are cancelled, and ignored should they still arrive.

import { find } from "./api.js";

export const PAGE_SIZE = 20;
// Long enough to skip most letters of a fast typist, too short to be felt.
const DEBOUNCE = 120;
// Below this, a progress sign would only flicker.
const PATIENCE = 200;

/** Holds what was asked and what was found; calls `changed(search)` after every step. */
export class Search {
  asked = { q: "", collection: "" };
  shown = null; // {q, collection, total, items, milliseconds} of the newest complete answer
  error = null;
  slow = false;
  #number = 0;
  #controller = null;
  #timer = 0;

  constructor(changed) {
    this.changed = changed;
  }

  /** Tell whether what is shown answers what was asked last. */
  get settled() {
    return this.#controller === null && this.#timer === 0;
  }

  /** Ask after a short pause in the typing. */
  askSoon(asked) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(asked), DEBOUNCE);
  }

  /** Ask now. */
  async ask({ q, collection }) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.asked = { q: q.trim(), collection };
    if (!this.asked.q && !collection) {
      this.#cancel();
      this.shown = null;
      this.error = null;
      this.changed(this);
      return;
    }
    await this.#fetch(0, []);
  }

  /** Ask the same again from the first page, for example after a document was added. */
  async again() {
    await this.ask(this.asked);
  }

  /** Fetch the next page and append it; returns the number of results there were before. */
  async more() {
    const before = this.shown.items;
    await this.#fetch(before.length, before);
    return before.length;
  }

  #cancel() {
    this.#controller?.abort();
    this.#controller = null;
    this.#number += 1;
    this.slow = false;
  }

  async #fetch(offset, before) {
    this.#cancel();
    const number = this.#number;
    const { q, collection } = this.asked;
    const controller = new AbortController();
    this.#controller = controller;
    const patience = setTimeout(() => this.#becomeSlow(number), PATIENCE);
    const start = performance.now();
    try {
      const page = await find({ q, collection, limit: PAGE_SIZE, offset }, controller.signal);
      if (number !== this.#number) return;
      const found = page.results ?? page.documents ?? page;
      const items = [...before, ...found.map((item) => ({ collection, ...item }))];
      const milliseconds = Math.round(performance.now() - start);
      this.shown = { q, collection, items, total: page.total ?? items.length, milliseconds };
      this.error = null;
    } catch (error) {
      if (number !== this.#number || controller.signal.aborted) return;
      this.error = error;
    } finally {
      clearTimeout(patience);
      if (number === this.#number) {
        this.#controller = null;
        this.slow = false;
        this.changed(this);
      }
    }
  }

  #becomeSlow(number) {
    if (number !== this.#number) return;
    this.slow = true;
    this.changed(this);
  }
}
