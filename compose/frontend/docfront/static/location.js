// What is on the screen, as a link: ?q=…&collection=…&doc=collection/document

/** Return {q, collection, doc} of the address. */
export function fromLocation() {
  const parameters = new URLSearchParams(location.search);
  const [collection, id] = (parameters.get("doc") ?? "").split("/").map(decodeURIComponent);
  return {
    q: parameters.get("q") ?? "",
    collection: parameters.get("collection") ?? "",
    doc: collection && id ? { collection, id } : null,
  };
}

/** Return the address of a state. */
export function toUrl({ q, collection, doc }) {
  const parameters = new URLSearchParams();
  if (q) parameters.set("q", q);
  if (collection) parameters.set("collection", collection);
  if (doc) parameters.set("doc", [doc.collection, doc.id].map(encodeURIComponent).join("/"));
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}

/** Put a state into the address; `push` makes it a step that Back undoes. */
export function toLocation(state, { push = false } = {}) {
  const url = toUrl(state);
  if (url === location.pathname + location.search) return;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}
