// The time machine without reloads. Each step asks for the page at its address and takes from it the
// machine, in place, so that focus stays; the address in the bar always leads back to what is shown.

import { Idiomorph } from "../vendor/idiomorph.esm.js";

const DRAG_MS = 60; // a slider on its way asks no more often

let asked = 0; // of several questions on their way the newest counts
let following = false; // whether the slider is being followed

const machine = () => document.getElementById("machine");
const slider = () => document.getElementById("slider");

async function show(url, keep) {
  const mine = ++asked;
  const stood = slider().value;
  let answer;
  let text;
  try {
    answer = await fetch(url, { headers: { "X-Requested-With": "time-machine" } });
    text = await answer.text();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the server is away: the browser says so
  }
  if (mine !== asked) return;
  const page = text && new DOMParser().parseFromString(text, "text/html");
  const fresh = page && page.getElementById("machine");
  if (!answer?.ok || !fresh) {
    location.assign(url);
    return;
  }
  if (keep) history[keep](null, "", answer.url);
  const moved = slider().value === stood ? null : slider().value;
  take(fresh);
  if (moved) slideTo(moved);
}

function take(fresh) {
  const version = fresh.querySelector("#slider").getAttribute("value");
  const number = fresh.querySelector("#to-version").getAttribute("value");
  const moment = fresh.querySelector("#to-moment").getAttribute("value");
  Idiomorph.morph(machine(), fresh, {
    morphStyle: "outerHTML",
    // Buttons that only make sense with, or without, a script were shown or hidden once.
    callbacks: { beforeAttributeUpdated: (name) => name !== "hidden" },
  });
  // What somebody typed or dragged is no attribute.
  slider().value = version;
  document.getElementById("to-version").value = number;
  document.getElementById("to-moment").value = moment;
  prepare();
}

function prepare() {
  for (const button of document.querySelectorAll("#machine [data-needless]")) button.hidden = true;
  if (navigator.clipboard)
    for (const button of document.querySelectorAll("#machine [data-copy]")) button.hidden = false;
}

function slideTo(version) {
  const range = slider();
  range.value = version;
  range.setAttribute("aria-valuetext", `version ${range.value} of ${range.max}`);
}

/** Show what the slider stands at, and again while it moves: one question at a time. */
async function follow() {
  slideTo(slider().value);
  if (following) return;
  following = true;
  let shown;
  do {
    await new Promise((done) => setTimeout(done, DRAG_MS));
    shown = slider().value;
    const url = new URL(location.href);
    for (const name of ["seq", "at", "go"]) url.searchParams.delete(name);
    url.searchParams.set("version", shown);
    await show(url, "replaceState");
  } while (slider().value !== shown);
  following = false;
}

const takesArrows = (target) =>
  target.isContentEditable || target.closest("input, textarea, select, pre, [popover]");

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.defaultPrevented || takesArrows(event.target)) return;
  const range = slider();
  const before = range.value;
  if (event.key === "ArrowLeft") range.stepDown();
  else if (event.key === "ArrowRight") range.stepUp();
  else if (!event.target.closest(".machine-controls")) return;
  else if (event.key === "Home") range.value = range.min;
  else if (event.key === "End") range.value = range.max;
  else return;
  event.preventDefault();
  if (range.value !== before) follow();
}

function onClick(event) {
  const link = event.target.closest('#machine a[href^="?"]');
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  show(link.href, "pushState");
}

function onSubmit(event) {
  const form = event.target.closest("#machine form");
  if (!form) return;
  event.preventDefault();
  const url = new URL(location.pathname, location.href);
  url.search = new URLSearchParams(new FormData(form)).toString();
  show(url, "pushState");
}

prepare();
document.addEventListener("input", (event) => event.target === slider() && follow());
document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("submit", onSubmit);
window.addEventListener("popstate", () => show(location.href, null));
