// Files to documents: {title, text}, or the reason why a file cannot be one.

const KINDS = /\.(txt|md|markdown)$/i;
// A text longer than this is no document somebody wrote; reading it would only freeze the page.
const MAX_BYTES = 20 * 1024 * 1024;

/** Read one file; rejects with an Error for people. */
export async function documentOf(file) {
  if (!KINDS.test(file.name)) throw new Error(`${file.name}: only .txt and .md files can be added`);
  if (file.size > MAX_BYTES) throw new Error(`${file.name}: larger than 20 MB`);
  const bytes = await file.arrayBuffer();
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${file.name}: not UTF-8 text`);
  }
  if (!text.trim()) throw new Error(`${file.name}: empty`);
  return { title: titleOf(file.name, text), text };
}

/** Return a Markdown file's first heading, else the file's name without its ending. */
export function titleOf(name, text) {
  const heading = /\.txt$/i.test(name) ? null : /^#\s+(.+?)\s*#*$/m.exec(text.slice(0, 2000));
  return (heading?.[1] ?? name.replace(KINDS, "")).slice(0, 500);
}

/** Call `took(files)` when files are dropped anywhere on the page. */
export function acceptDrops(dropzone, took) {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const show = (shown) => dropzone.classList.toggle("shown", shown);
  addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    took([...event.dataTransfer.files]);
  });
}
