// A verification tells the log nothing while it goes on, so no event wakes the page: it is asked
// for anew while there is a progress bar on it and somebody looks.

import { Idiomorph } from "../vendor/idiomorph.esm.js";

const EVERY_MS = 1000;

const part = () => document.querySelector("[data-poll]")?.closest("[id]");
let timer = null;

function soon() {
  clearTimeout(timer);
  if (part() && !document.hidden) timer = setTimeout(ask, EVERY_MS);
}

async function ask() {
  try {
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
    if (answer.redirected) return; // signed out
    if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the server is away, and may come back
  }
  soon();
}

function show(page) {
  const old = part();
  const fresh = old && page.getElementById(old.id);
  if (fresh) Idiomorph.morph(old, fresh, { morphStyle: "outerHTML" });
}

document.addEventListener("visibilitychange", soon);
soon();
