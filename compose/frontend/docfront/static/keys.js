// The keyboard: / searches, arrows move, Enter opens, Esc goes back.

import { byId } from "./dom.js";

const titles = () => [...document.querySelectorAll("#results .result-title")];
const typing = (element) => element.matches("input, textarea, select, [contenteditable]");

/** Listen; `clear()` empties the search, `submit()` runs it at once. */
export function listenToKeys({ clear, submit }) {
  const query = byId("query");
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    // An open dialog has its own keys: the browser's.
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "/" && !typing(event.target)) {
      event.preventDefault();
      query.focus();
      query.select();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      move(event, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape") {
      back(event);
    } else if (event.key === "Enter" && event.target === query) {
      event.preventDefault();
      submit();
    }
  });

  function move(event, step) {
    const all = titles();
    const at = all.indexOf(document.activeElement);
    if (document.activeElement !== query && at < 0) return;
    event.preventDefault();
    if (at + step < 0) query.focus();
    else all[Math.min(at + step, all.length - 1)]?.focus();
  }

  function back(event) {
    if (event.target !== query && typing(event.target)) return;
    event.preventDefault();
    if (event.target !== query) query.focus();
    else if (query.value) clear();
    else query.blur();
  }
}
