// The banner: says honestly that nobody answers, asks again by itself, and tells when it is over.

import { observe, whyNotReady } from "./api.js";
import { byId, toast } from "./dom.js";

const FIRST_WAIT = 1;
const LONGEST_WAIT = 10;
// A page that is only looked at notices an outage too, in seconds.
const HEARTBEAT = 5;

const TEXTS = {
  backend: ["Search is not available right now.", "The page works, its search backend does not answer."],
  page: ["No connection.", "The server of this page does not answer."],
};

let down = false;
let wait = FIRST_WAIT;
let remaining = 0;
let asking = false;
let onRecovery = () => {};

/** Begin to watch; `recovered` is called each time the backend is back. */
export function watchConnection(recovered) {
  onRecovery = recovered;
  observe({ unavailable: (error) => show(error.where), answered: () => down && hide() });
  byId("banner-retry").addEventListener("click", ask);
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  setInterval(tick, 1000);
  remaining = HEARTBEAT;
}

/** Tell whether the banner is up. */
export const isDown = () => down;

function show(where) {
  if (!down) {
    down = true;
    wait = FIRST_WAIT;
    remaining = wait;
    document.body.classList.add("offline");
  }
  const [text, note] = TEXTS[where];
  // Setting the same text again would be announced again.
  if (byId("banner-text").textContent !== text) byId("banner-text").textContent = text;
  byId("banner-note").textContent = `${note} What you typed is kept.`;
  byId("banner").hidden = false;
  countdown();
}

function hide() {
  down = false;
  remaining = HEARTBEAT;
  document.body.classList.remove("offline");
  byId("banner").hidden = true;
  byId("banner-text").textContent = "";
  toast("Connected again.");
  onRecovery();
}

async function ask() {
  if (asking) return;
  asking = true;
  countdown();
  const problem = await whyNotReady();
  asking = false;
  if (problem === null) {
    remaining = HEARTBEAT;
    if (down) hide();
    return;
  }
  wait = down ? Math.min(wait * 2, LONGEST_WAIT) : FIRST_WAIT;
  remaining = wait;
  show(problem.where);
  byId("banner").title = problem.reason;
}

function tick() {
  if (asking || (document.hidden && !down)) return;
  remaining -= 1;
  if (remaining <= 0) ask();
  else countdown();
}

function countdown() {
  if (!down) return;
  byId("banner-countdown").textContent = asking ? "Trying…" : `Trying again in ${remaining} s`;
}
