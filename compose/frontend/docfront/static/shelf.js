// The collections: the list on the side, the form that makes one, and their names for the rest of the page.

import * as api from "./api.js";
import { byId, confirmed, counted, h, showError, toast } from "./dom.js";
import { toUrl } from "./location.js";

/** Holds the collections; `choose(id)` is called when one is picked, "" for all. */
export class Shelf {
  all = [];
  loaded = false;
  current = "";
  #drawn = "";

  constructor({ choose, changed }) {
    this.choose = choose;
    this.changed = changed;
    byId("new-collection").addEventListener("submit", (event) => this.#create(event));
    byId("delete-collection").addEventListener("click", () => this.#remove());
  }

  /** Return the collection with this id, whatever type ids have in the address or in an answer. */
  byId(id) {
    return this.all.find((collection) => String(collection.id) === String(id));
  }

  /** Read the collections again; a failure leaves the list as it was and is shown by the banner. */
  async load() {
    try {
      const answer = await api.collections();
      this.all = answer.collections ?? answer;
      this.loaded = true;
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (!(error instanceof api.Unavailable)) toast(error.message);
      return;
    }
    this.render();
    this.changed();
  }

  /** Mark one collection as chosen. */
  select(id) {
    this.current = String(id);
    this.render();
    document.querySelector("#collections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Draw the list. */
  render() {
    const next = JSON.stringify([this.current, this.all]);
    if (next === this.#drawn) return;
    this.#drawn = next;
    const total = this.all.reduce((sum, collection) => sum + collection.documents, 0);
    const focused = document.activeElement?.dataset?.collection;
    byId("collections").replaceChildren(
      this.#entry("", "All documents", total),
      ...this.all.map(({ id, name, documents }) => this.#entry(String(id), name, documents)),
    );
    // Drawing again must not take the keyboard's place away.
    if (focused !== undefined) {
      document.querySelector(`#collections a[data-collection="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  #entry(id, name, documents) {
    const choose = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.choose(id);
    };
    const link = h(
      "a",
      {
        href: toUrl({ collection: id }),
        "data-collection": id,
        "aria-current": id === this.current ? "true" : undefined,
        title: name,
        onclick: choose,
      },
      h("span", { class: "name" }, name),
      h("span", { class: "number", "aria-label": counted(documents, "document") }, documents.toLocaleString()),
    );
    return h("li", {}, link);
  }

  async #create(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const input = byId("new-collection-name");
    const error = form.querySelector(".error");
    const name = input.value.trim();
    if (!name) return;
    try {
      const { id } = await api.createCollection(name);
      input.value = "";
      showError(error);
      await this.load();
      this.choose(String(id));
    } catch (failure) {
      if (!(failure instanceof api.ApiError)) throw failure;
      showError(error, failure.message);
    }
  }

  async #remove() {
    const collection = this.byId(this.current);
    if (!collection) return;
    const { id, name, documents } = collection;
    const what = documents ? `and its ${counted(documents, "document")} ` : "";
    const sure = await confirmed(`Delete “${name}”?`, `The collection ${what}will be gone. This cannot be undone.`);
    if (!sure) return;
    try {
      await api.deleteCollection(id);
    } catch (failure) {
      if (!(failure instanceof api.ApiError)) throw failure;
      toast(`Not deleted: ${failure.message}`);
      return;
    }
    toast(`“${name}” is deleted.`);
    this.choose("");
    await this.load();
  }
}
