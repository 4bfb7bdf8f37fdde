// The result list, its summary line, and what stands there when it is empty.

import { Unavailable } from "./api.js";
import { byId, counted, h } from "./dom.js";
import { toUrl } from "./location.js";
import { nodesOf, snippetParts } from "./text.js";

/** Draw the state of the search; `shelf` knows the collections, `actions` what a click does. */
export function renderResults(search, shelf, actions) {
  const { asked, shown, error } = search;
  byId("search").classList.toggle("slow", search.slow);
  const current = shelf.byId(asked.collection);
  // The start page's own words say it better.
  const start = !asked.q && !asked.collection;
  document.querySelector(".summary").classList.toggle("unseen", start);
  byId("heading").textContent = asked.collection ? (current?.name ?? "Collection") : "All documents";
  byId("delete-collection").hidden = !current;

  const failed = error && !(error instanceof Unavailable);
  const items = failed || !shown ? [] : shown.items;
  // While nobody answers, what was found before stays readable; the banner says why it is not fresh.
  byId("results").classList.toggle("stale", Boolean(error) && !failed);
  renderList(items, asked, shelf, actions);

  byId("count").textContent = summary(search, failed);
  const left = shown && !failed ? shown.total - shown.items.length : 0;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Load more (${left.toLocaleString()} left)`;
  renderEmpty(search, failed, shelf, actions);
}

let drawn = "";
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function renderList(items, asked, shelf, actions) {
  // The same list is left alone: rows that are replaced lose the keyboard's place and a click that has just begun.
  const next = JSON.stringify([items, asked, shelf.all.map(({ id, name }) => [id, name])]);
  if (next === drawn) return;
  drawn = next;
  const focused = document.activeElement?.closest?.("#results a")?.getAttribute("href");
  byId("results").replaceChildren(...items.map((item) => row(item, asked, shelf, actions)));
  if (focused) document.querySelector(`#results a[href="${CSS.escape(focused)}"]`)?.focus();
}

function summary({ shown, error, asked }, failed) {
  if (failed || !shown) return "";
  if (error) return "Not up to date";
  if (!shown.q) return counted(shown.total, "document");
  const found = counted(shown.total, "result");
  return shown.total ? `${found} for “${asked.q}” in ${shown.milliseconds} ms` : `Nothing found for “${asked.q}”`;
}

function row(item, asked, shelf, actions) {
  const doc = { collection: item.collection, id: item.id };
  const open = (event) => {
    // Left alone: the browser's own ways to open a link elsewhere.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    actions.open(doc);
  };
  const title = h("a", { class: "result-title", href: toUrl({ ...asked, doc }), onclick: open });
  title.append(...(item.title_html ? nodesOf(snippetParts(item.title_html)) : [item.title || "Untitled"]));
  const parts = [title];
  if (item.snippet) {
    const text = h("p", { class: "snippet" });
    text.append(...nodesOf(snippetParts(item.snippet)));
    parts.push(text);
  }
  const name = shelf.byId(item.collection)?.name;
  if (name && !asked.collection) parts.push(h("p", { class: "result-meta" }, h("span", { class: "chip" }, name)));
  // Found documents are told apart by their text, listed ones by their age.
  if (item.created_at && !item.snippet) {
    const time = h("time", { datetime: item.created_at }, dates.format(new Date(item.created_at)));
    parts.push(h("p", { class: "result-meta" }, "Added ", time));
  }
  return h("li", {}, ...parts);
}

function renderEmpty({ shown, error, asked, settled }, failed, shelf, actions) {
  const empty = byId("empty");
  const content = emptyContent();
  empty.hidden = !content;
  empty.replaceChildren(...(content ?? []));

  function emptyContent() {
    if (failed) return [h("h2", {}, "That did not work"), h("p", {}, error.message)];
    if (shown?.items.length) return null;
    if (error) return [h("p", {}, "Nothing to show until the connection is back.")];
    if (shelf.loaded && !shelf.all.length) return welcome(actions);
    if (!asked.q && !asked.collection) return shelf.loaded ? overview(shelf) : null;
    if (!shown || !settled) return null;
    if (asked.q) return nothingFound(asked, actions);
    return [
      h("h2", {}, "No documents yet"),
      h("p", {}, "Add text, or drop .txt and .md files on this page."),
      h("button", { type: "button", class: "primary", onclick: actions.add }, "Add a document"),
    ];
  }
}

function welcome(actions) {
  return [
    h("img", { src: "/icon.svg", alt: "", width: 56, height: 56 }),
    h("h2", {}, "Your documents, found as you type"),
    h("p", {}, "Add a first document. Text and Markdown files can be dropped anywhere on this page."),
    h("button", { type: "button", class: "primary", onclick: actions.add }, "Add a document"),
  ];
}

function overview(shelf) {
  const documents = shelf.all.reduce((sum, collection) => sum + collection.documents, 0);
  const keys = [
    ["/", "search"],
    ["↑ ↓", "move"],
    ["Enter", "open"],
    ["Esc", "back"],
  ];
  return [
    h("h2", {}, `Search ${counted(documents, "document")} in ${counted(shelf.all.length, "collection")}`),
    h("p", {}, "Start typing, or choose a collection to browse it."),
    h("dl", { class: "keys" }, ...keys.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))),
  ];
}

function nothingFound(asked, actions) {
  const content = [h("h2", {}, "Nothing found"), h("p", {}, "Try fewer or other words.")];
  if (asked.collection) {
    content.push(h("button", { type: "button", onclick: () => actions.choose("") }, "Search all collections"));
  }
  return content;
}
