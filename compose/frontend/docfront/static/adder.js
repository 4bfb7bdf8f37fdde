// The dialog that adds documents: one that is typed, or files. What is typed stays until it is saved.

import * as api from "./api.js";
import { byId, counted, h, showError, toast } from "./dom.js";
import { documentOf } from "./files.js";

const NEW = "new";

/** Adds documents; `added(collection)` is called after the last one is in. */
export class Adder {
  #files = []; // [{title, text}], not added yet
  #busy = false;

  constructor({ shelf, added }) {
    this.dialog = byId("adder");
    this.shelf = shelf;
    this.added = added;
    byId("adder-form").addEventListener("submit", (event) => this.#save(event));
    byId("adder-collection").addEventListener("change", () => this.#draw());
    byId("adder-choose").addEventListener("change", async (event) => {
      await this.take([...event.target.files]);
      event.target.value = "";
    });
    for (const id of ["adder-close", "adder-cancel"]) byId(id).addEventListener("click", () => this.dialog.close());
  }

  /** Open the dialog on the chosen collection. */
  open() {
    if (this.dialog.open) return;
    const select = byId("adder-collection");
    const chosen = this.shelf.current || select.value;
    select.replaceChildren(
      ...this.shelf.all.map(({ id, name }) => h("option", { value: id }, name)),
      h("option", { value: NEW }, "New collection…"),
    );
    select.value = this.shelf.byId(chosen) ? chosen : (select.options[0]?.value ?? NEW);
    showError(byId("adder-error"));
    this.#draw();
    this.dialog.showModal();
    byId(select.value === NEW && !byId("adder-collection-name").value ? "adder-collection-name" : "adder-name").focus();
  }

  /** Take files into the dialog; a single one can still be edited there. */
  async take(files) {
    const results = await Promise.allSettled(files.map(documentOf));
    const documents = results.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
    const refused = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason.message);
    this.open();
    const untouched = !byId("adder-name").value && !byId("adder-text").value && !this.#files.length;
    if (documents.length === 1 && untouched) {
      byId("adder-name").value = documents[0].title;
      byId("adder-text").value = documents[0].text;
    } else {
      this.#files.push(...documents);
    }
    showError(byId("adder-error"), refused.join("\n"));
    this.#draw();
  }

  #draw() {
    const files = this.#files;
    const isNew = byId("adder-collection").value === NEW;
    byId("adder-named").hidden = !isNew;
    const typed = byId("adder-name").value || byId("adder-text").value;
    byId("adder-single").hidden = files.length > 0 && !typed;
    const list = byId("adder-files");
    list.hidden = !files.length;
    list.replaceChildren(
      ...files.map((file) => {
        const drop = () => {
          this.#files = this.#files.filter((other) => other !== file);
          this.#draw();
        };
        const remove = h("button", { type: "button", class: "quiet-button", "aria-label": `Leave out ${file.title}`, onclick: drop }, "Leave out");
        return h("li", {}, h("span", { class: "name" }, file.title), h("span", { class: "quiet" }, size(file.text)), remove);
      }),
    );
    const save = byId("adder-save");
    save.textContent = this.#busy ? "Adding…" : files.length ? `Add ${counted(files.length + (typed ? 1 : 0), "document")}` : "Add document";
    // Disabled for people and for Enter, but still in the tab order: the focus must not fall off the dialog.
    save.setAttribute("aria-disabled", String(this.#busy));
  }

  async #save(event) {
    event.preventDefault();
    if (this.#busy) return;
    const title = byId("adder-name").value.trim();
    const text = byId("adder-text").value;
    const typed = title || text.trim();
    if (typed || !this.#files.length) {
      if (!title) return this.#complain("Give the document a title.", "adder-name");
      if (!text.trim()) return this.#complain("Give the document a text.", "adder-text");
    }
    this.#busy = true;
    showError(byId("adder-error"));
    this.#draw();
    try {
      const collection = await this.#collection();
      if (collection === null) return;
      await this.#addAll(collection, typed ? { title, text } : null);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const kept = error instanceof api.Unavailable ? " Nothing you typed is lost: try again when the connection is back." : "";
      this.#complain(`Not added: ${error.message}${kept}`);
    } finally {
      this.#busy = false;
      this.#draw();
    }
  }

  async #collection() {
    const select = byId("adder-collection");
    if (select.value !== NEW) return select.value;
    const input = byId("adder-collection-name");
    const name = input.value.trim();
    if (!name) {
      this.#complain("Give the new collection a name.", "adder-collection-name");
      return null;
    }
    const { id } = await api.createCollection(name);
    // From here on it exists: a second try after a failure must not make it again.
    select.prepend(h("option", { value: id }, name));
    select.value = String(id);
    input.value = "";
    this.#draw();
    return String(id);
  }

  async #addAll(collection, typed) {
    const count = this.#files.length + (typed ? 1 : 0);
    if (typed) {
      await api.addDocument(collection, typed);
      byId("adder-name").value = "";
      byId("adder-text").value = "";
    }
    // One by one: each that is in leaves the list, so that a failure in between repeats nothing.
    while (this.#files.length) {
      await api.addDocument(collection, this.#files[0]);
      this.#files.shift();
      this.#draw();
    }
    this.dialog.close();
    toast(count === 1 ? "The document is added." : `${counted(count, "document")} are added.`);
    await this.added(collection);
  }

  #complain(message, field) {
    showError(byId("adder-error"), message);
    if (field) byId(field).focus();
  }
}

function size(text) {
  const kilobytes = new Blob([text]).size / 1024;
  return kilobytes < 1 ? "1 kB" : `${Math.round(kilobytes).toLocaleString()} kB`;
}
