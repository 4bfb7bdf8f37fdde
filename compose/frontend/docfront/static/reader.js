// One document, in a sheet over the results.

import * as api from "./api.js";
import { byId, confirmed, counted, toast } from "./dom.js";
import { markedParts, nodesOf } from "./text.js";

/** Shows documents; `closed()` is called when the reader closes the sheet, `deleted()` after a deletion. */
export class Reader {
  #doc = null;

  constructor({ closed, deleted, nameOf }) {
    this.dialog = byId("reader");
    this.closed = closed;
    this.deleted = deleted;
    this.nameOf = nameOf;
    byId("reader-close").addEventListener("click", () => this.dialog.close());
    byId("reader-delete").addEventListener("click", () => this.#remove());
    this.dialog.addEventListener("close", () => {
      this.#doc = null;
      this.closed();
    });
    // A click beside the sheet hits the dialog itself, one inside hits a child.
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open a document {collection, id}; the words of `query` are marked in it. */
  async open(doc, query) {
    this.#doc = doc;
    byId("reader-title").textContent = "Opening…";
    byId("reader-meta").textContent = "";
    byId("reader-text").replaceChildren();
    byId("reader-delete").hidden = true;
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const document = await api.readDocument(doc.collection, doc.id);
      if (this.#doc === doc) this.#show(document, query);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (this.#doc === doc) this.#explain(error);
    }
  }

  /** Close without telling: the address has said so already. */
  close() {
    if (this.dialog.open) this.dialog.close();
  }

  #show({ title, text }, query) {
    byId("reader-title").textContent = title || "Untitled";
    const words = text.match(/\S+/g)?.length ?? 0;
    byId("reader-meta").textContent = [this.nameOf(this.#doc.collection), counted(words, "word")].filter(Boolean).join(" · ");
    byId("reader-delete").hidden = false;
    const body = byId("reader-text");
    body.replaceChildren(...nodesOf(markedParts(text, query)));
    body.scrollTop = 0;
    body.querySelector("mark")?.scrollIntoView({ block: "center" });
    body.focus({ preventScroll: true });
  }

  #explain(error) {
    const gone = error.status === 404;
    byId("reader-title").textContent = gone ? "This document is gone" : "Not available";
    byId("reader-text").textContent = gone ? "It was deleted in the meantime." : error.message;
  }

  async #remove() {
    const doc = this.#doc;
    const title = byId("reader-title").textContent;
    if (!(await confirmed(`Delete “${title}”?`, "This cannot be undone."))) return;
    try {
      await api.deleteDocument(doc.collection, doc.id);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const warning = `Not deleted: ${error.message}`;
      byId("reader-meta").textContent = warning;
      return;
    }
    this.dialog.close();
    toast(`“${title}” is deleted.`);
    this.deleted();
  }
}
