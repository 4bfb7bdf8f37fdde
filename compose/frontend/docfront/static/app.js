// Wires the parts together and keeps the address in step with them.

import { Adder } from "./adder.js";
import { watchConnection } from "./connection.js";
import { byId } from "./dom.js";
import { acceptDrops } from "./files.js";
import { listenToKeys } from "./keys.js";
import { fromLocation, toLocation } from "./location.js";
import { Reader } from "./reader.js";
import { renderResults } from "./results.js";
import { Search } from "./search.js";
import { Shelf } from "./shelf.js";

const query = byId("query");
const actions = { open: openDocument, add: () => adder.open(), choose };

const search = new Search(draw);
const shelf = new Shelf({ choose, changed: draw });
const reader = new Reader({ closed: forgetDocument, deleted: refresh, nameOf: (id) => shelf.byId(id)?.name });
const adder = new Adder({ shelf, added: showAdded });

function draw() {
  renderResults(search, shelf, actions);
  byId("clear").hidden = !query.value;
}

const state = () => ({ q: query.value.trim(), collection: shelf.current });

function typed() {
  byId("clear").hidden = !query.value;
  toLocation(state());
  search.askSoon(state());
}

function clear() {
  query.value = "";
  query.focus();
  toLocation(state());
  search.ask(state());
}

function submit() {
  const first = document.querySelector("#results .result-title");
  if (search.settled && search.shown?.q === query.value.trim() && first) first.click();
  else search.ask(state());
}

function choose(id) {
  shelf.select(id);
  toLocation(state(), { push: true });
  search.ask(state());
}

function openDocument(doc) {
  toLocation({ ...state(), doc }, { push: true });
  reader.open(doc, query.value);
}

function forgetDocument() {
  if (fromLocation().doc) toLocation(state(), { push: true });
}

async function refresh() {
  await Promise.all([shelf.load(), search.again()]);
}

async function showAdded(collection) {
  await shelf.load();
  if (!query.value.trim() && shelf.current !== String(collection)) choose(String(collection));
  else await search.again();
}

async function loadMore() {
  const before = await search.more();
  document.querySelectorAll("#results .result-title")[before]?.focus();
}

function start() {
  // Whoever typed before this script was there meant it.
  if (query.value.trim()) toLocation({ ...fromLocation(), q: query.value.trim() });
  restore();
}

function restore() {
  const { q, collection, doc } = fromLocation();
  if (query.value.trim() !== q) query.value = q;
  shelf.select(collection);
  search.ask({ q, collection });
  if (doc) reader.open(doc, q);
  else reader.close();
}

byId("add").addEventListener("click", () => adder.open());
byId("more").addEventListener("click", loadMore);
byId("clear").addEventListener("click", clear);
byId("search").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", typed);
addEventListener("popstate", restore);
listenToKeys({ clear, submit });
acceptDrops(byId("dropzone"), (files) => adder.take(files));
watchConnection(refresh);

start();
shelf.load();
// On a touch screen the focus would bring up the keyboard over half the page.
if (!matchMedia("(pointer: coarse)").matches && !fromLocation().doc) query.focus();
