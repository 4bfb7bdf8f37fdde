// Small helpers around the DOM. Text goes in as text nodes only: nothing here parses HTML.

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Make an element: `on…` properties are listeners, the rest are attributes; children are nodes or text. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Show `message` in an element kept for it, or hide that element when there is none. */
export function showError(element, message) {
  element.textContent = message ?? "";
  element.hidden = !message;
}

/** Return 1 234 in the reader's way of writing numbers, with its noun. */
export function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

let toastTimer;

/** Say something for a few seconds at the bottom of the page. */
export function toast(message) {
  const element = byId("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("shown"), 4000);
}

/** Ask before something is destroyed; resolves to true when the answer is yes. */
export function confirmed(title, text, yes = "Delete") {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
