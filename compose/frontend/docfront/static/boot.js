// Starts the page, or loads it again when a part of it did not arrive. Browsers drop what they are loading when a
// network appears or goes, and next to a container engine that is every container that starts.

const KEY = "docsearch.loads";
const TRIES = 5;

const missingStyle = () => [...document.querySelectorAll('link[rel="stylesheet"]')].some((link) => !link.sheet);

function again(error) {
  const tries = Number(sessionStorage.getItem(KEY) ?? 0) + 1;
  sessionStorage.setItem(KEY, tries);
  if (tries < TRIES) {
    setTimeout(() => location.reload(), 300 * tries);
    return;
  }
  sessionStorage.removeItem(KEY);
  document.getElementById("banner").hidden = false;
  document.getElementById("banner-text").textContent = "This page did not load completely.";
  document.getElementById("banner-retry").addEventListener("click", () => location.reload());
  throw error;
}

try {
  await import("/app.js");
  if (missingStyle()) throw new TypeError("a style sheet is missing");
  sessionStorage.removeItem(KEY);
} catch (error) {
  // What could not be fetched is a TypeError; anything else is a mistake in the page and would only come back.
  if (!(error instanceof TypeError)) throw error;
  again(error);
}
