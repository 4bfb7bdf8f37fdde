// Text for the screen: highlighted snippets and documents as lists of {text, mark}, never as HTML.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
// More marks than anybody reads make a long document slow to lay out.
const MAX_MARKS = 1000;

/** Undo the escaping of one piece of text, in one pass, so that `&amp;lt;` stays `&lt;`. */
export function unescapeHtml(text) {
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]+);/gi, (whole, name) => {
    if (name[0] !== "#") return ENTITIES[name.toLowerCase()] ?? whole;
    const code = name[1].toLowerCase() === "x" ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Split a snippet at its <mark> tags; any other tag in it is shown as the text it is. */
export function snippetParts(snippet) {
  const parts = [];
  let mark = false;
  for (const piece of snippet.split(/(<\/?mark>)/)) {
    if (piece === "<mark>") mark = true;
    else if (piece === "</mark>") mark = false;
    else if (piece) parts.push({ text: unescapeHtml(piece), mark });
  }
  return parts;
}

/** Return the words of a query, longest first, without the query language's own words and signs. */
export function queryTerms(query) {
  const words = query.match(/[\p{L}\p{N}_]+/gu) ?? [];
  const operators = new Set(["AND", "OR", "NOT", "NEAR"]);
  return [...new Set(words.filter((word) => !operators.has(word)))].sort((a, b) => b.length - a.length);
}

/** Mark the words of a text that begin with a term of the query. */
export function markedParts(text, query) {
  const terms = queryTerms(query);
  if (!terms.length) return [{ text, mark: false }];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${terms.join("|")})[\\p{L}\\p{N}_]*`, "giu");
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (parts.length >= 2 * MAX_MARKS) break;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), mark: false });
    parts.push({ text: match[0], mark: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), mark: false });
  return parts;
}

/** Turn parts into nodes. */
export function nodesOf(parts) {
  return parts.map(({ text, mark }) => {
    if (!mark) return document.createTextNode(text);
    const element = document.createElement("mark");
    element.textContent = text;
    return element;
  });
}
