// What stands on the page is kept true while somebody looks at it.
//
// One stream of the tenant's events wakes the page; what it shows is never made of the events
// themselves but asked for anew, so that it is exactly what a reload would show. Elements with an
// id and data-live are brought up to date in place: focus, selection, ticks and open parts stay.
// Hidden pages listen to nothing (a browser has six connections for a server, whoever opens many
// pages), and catch up when they are looked at again.

import { Idiomorph } from "../vendor/idiomorph.esm.js";

const EVERY_MS = 2000; // between two refreshes
const AFTER_MS = 1000; // read models follow the log: what the last event changed is seen by then
const AT_ONCE_MS = 150; // events of one command come together

const main = document.getElementById("content");
const button = document.getElementById("live");
const wakers = new Set();
let source = null;
let paused = false;
let again = null; // the timer of the next refresh
let lastRefresh = 0;
let trailing = false;
let asking = null;

/** Have `wake()` called after events arrived, and whenever some may have been missed. */
export function onEvents(wake) {
  wakers.add(wake);
  begin();
}

/** Whether the person has stopped live changes. */
export const isPaused = () => paused;

function begin() {
  if (!main?.dataset.stream || source || paused || document.hidden || !wakers.size) return;
  button.hidden = false;
  say("connecting");
  const wanted = main.dataset.liveTypes.trim();
  const url = new URL(main.dataset.stream, location.href);
  if (wanted) url.searchParams.set("types", wanted.split(/\s+/).join(","));
  source = new window.ReconnectingEventSource(url.href, { max_retry_time: 5000 });
  source.onopen = () => {
    say("live");
    wakeAll();
  };
  source.onerror = () => say("connecting");
  for (const type of [...main.dataset.types.split(" "), "stream-reset"])
    source.addEventListener(type, wakeAll);
}

function end() {
  source?.close();
  source = null;
}

function wakeAll() {
  for (const wake of wakers) wake();
}

function say(state) {
  button.dataset.state = state;
  button.textContent = { live: "Live", connecting: "Connecting…", paused: "Paused", ended: "Ended" }[
    state
  ];
  button.setAttribute("aria-pressed", String(state !== "paused"));
  button.title = paused ? "Show changes as they happen" : "Stop changing what I look at";
}

function refreshSoon() {
  trailing = true;
  if (again) return;
  again = setTimeout(refresh, Math.max(AT_ONCE_MS, lastRefresh + EVERY_MS - Date.now()));
}

async function refresh() {
  again = null;
  if (paused || document.hidden) return;
  const last = trailing;
  trailing = false;
  lastRefresh = Date.now();
  asking = new AbortController();
  try {
    const answer = await fetch(location.href, {
      headers: { "X-Requested-With": "live" },
      signal: asking.signal,
    });
    if (answer.redirected || answer.status === 404) return over(); // signed out, or let out
    if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    return; // the stream says when the server is back
  }
  // Once more when things have settled.
  if (last && !again) again = setTimeout(refresh, AFTER_MS);
}

function over() {
  end();
  say("ended");
  button.title = "Reload the page: you are signed out, or no longer a member.";
}

function take(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || part.outerHTML === fresh.outerHTML) continue;
    Idiomorph.morph(part, fresh, {
      morphStyle: "outerHTML",
      ignoreActiveValue: true,
      callbacks: { beforeAttributeUpdated: mayChange, beforeNodeMorphed: mayMorph },
    });
  }
  document.dispatchEvent(new CustomEvent("live:refreshed"));
}

// What the person did to the page stays as they left it.
const mayChange = (name, node) =>
  !(
    (name === "open" && node.matches("details")) ||
    (["checked", "value"].includes(name) && node.matches("input"))
  );
const mayMorph = (old) => !(old instanceof HTMLElement && old.matches("[data-live-keep]"));

document.addEventListener("visibilitychange", () => {
  if (document.hidden) end();
  else begin();
});
button?.addEventListener("click", () => {
  paused = !paused;
  if (paused) {
    end();
    asking?.abort();
    say("paused");
  } else begin();
  document.dispatchEvent(new CustomEvent("live:paused", { detail: paused }));
});
window.addEventListener("pagehide", end);
window.addEventListener("pageshow", begin);

if (main && document.querySelector("[data-live]")) {
  onEvents(refreshSoon);
  // For what changes without an event.
  document.addEventListener("live:refresh", () => {
    if (!again) refreshSoon();
  });
}
