// The backend as functions. Every failure is an ApiError; one that time may heal is an Unavailable.

const TIMEOUT = 20_000;
// A question that is refused because there is too much to do is asked again so many times, when the server said to.
const REPEATS = 3;
const OVERLOADED = "overloaded";

/** The server refused: `code` and `message` are its own words. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Nobody answered; `where` is "backend", or "page" when this page's own server is away. */
export class Unavailable extends ApiError {
  constructor(status, code, message, where) {
    super(status, code, message);
    this.where = where;
  }
}

const listeners = { unavailable: () => {}, answered: () => {} };

/** Tell `unavailable(error)` and `answered()` about every request. */
export function observe(observer) {
  Object.assign(listeners, observer);
}

async function request(method, path, { body, signal } = {}) {
  const limits = [AbortSignal.timeout(TIMEOUT), ...(signal ? [signal] : [])];
  const options = { method, signal: AbortSignal.any(limits), headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  try {
    const result = await answerOf(path, options);
    listeners.answered();
    return result;
  } catch (error) {
    if (signal?.aborted) throw error;
    const failure = error instanceof ApiError ? error : notAnswered(error);
    if (failure instanceof Unavailable) listeners.unavailable(failure);
    throw failure;
  }
}

async function answerOf(path, options) {
  for (let left = REPEATS; ; left -= 1) {
    const answer = await fetchPatiently(path, options);
    const result = answer.status === 204 ? null : await answer.json();
    if (answer.ok) return result;
    const failure = failureOf(answer.status, result);
    if (failure.code !== OVERLOADED || options.method !== "GET" || left === 0) throw failure;
    // Pages that were refused together come back apart.
    await pause(1000 * (Number(answer.headers.get("retry-after")) || 1) * (1 + Math.random()));
    options.signal.throwIfAborted();
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Fetch; a question that got lost on the way is asked once more, a change never. */
async function fetchPatiently(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.method !== "GET" || !(error instanceof TypeError)) throw error;
    await pause(150);
    return fetch(path, options);
  }
}

function failureOf(status, body) {
  const code = body?.error?.code ?? "unknown";
  const message = body?.error?.message ?? `The server answered ${status}.`;
  // It answers, only not this now: no reason for the banner that says it is away.
  if (code === OVERLOADED) return new ApiError(status, code, "There is too much to do right now. Please try again.");
  if (status === 502 || status === 503 || status === 504) return new Unavailable(status, code, message, "backend");
  return new ApiError(status, code, message);
}

function notAnswered(error) {
  if (error instanceof SyntaxError) return new Unavailable(502, "bad_answer", "The answer was cut off.", "backend");
  if (error.name === "TimeoutError") return new Unavailable(504, "timeout", "No answer in time.", "backend");
  return new Unavailable(0, "network", "This page's server does not answer.", "page");
}

const part = encodeURIComponent;
const documentsOf = (collection) => `/api/collections/${part(collection)}/documents`;

export const collections = (signal) => request("GET", "/api/collections", { signal });
export const createCollection = (name) => request("POST", "/api/collections", { body: { name } });
export const deleteCollection = (id) => request("DELETE", `/api/collections/${part(id)}`);
export const addDocument = (collection, document) => request("POST", documentsOf(collection), { body: document });
export const readDocument = (collection, id) => request("GET", `${documentsOf(collection)}/${part(id)}`);
export const deleteDocument = (collection, id) => request("DELETE", `${documentsOf(collection)}/${part(id)}`);

/** Search, or list a collection's documents when there is nothing to search for. */
export function find({ q, collection, limit, offset }, signal) {
  const parameters = new URLSearchParams({ limit, offset });
  if (!q) return request("GET", `${documentsOf(collection)}?${parameters}`, { signal });
  parameters.set("q", q);
  if (collection) parameters.set("collection", collection);
  return request("GET", `/api/search?${parameters}`, { signal });
}

/** Ask whether the backend is ready; resolves to null or to {where, reason}. Never rejects. */
export async function whyNotReady() {
  try {
    const answer = await fetch("/ready", { signal: AbortSignal.timeout(5000) });
    const body = await answer.json();
    if (answer.ok) return null;
    return { where: "backend", reason: body.reason ?? "" };
  } catch (error) {
    return { where: "page", reason: error.message };
  }
}
