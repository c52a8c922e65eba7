// New events on top of the timeline, without a gap and without a double.
//
// The stream only wakes. What came is asked for by place: all above the last place that was looked
// at, a page at a time, as rows that the server has made. While nobody follows, what came waits
// here and is counted; when more waits than anybody would read, nothing more is fetched, and
// nothing is left out: the next pages are shown one by one, or the page begins anew at the newest.

import { onEvents } from "../live.js";

const EVERY_MS = 1000; // between two looks
const AT_ONCE_MS = 150; // events of one command come together
const MOST_WAITING = 200; // rows
const MOST_SHOWN = 500; // rows of the page; the oldest go, and `Older` begins where they ended

/** Keep the page's list of events. `tail` is its toolbar, which says where the list ends. */
export function begin(tail) {
  const table = document.getElementById("events");
  const body = table.tBodies[0];
  const follow = document.getElementById("follow");
  const show = document.getElementById("show-new");
  const skip = document.getElementById("skip-new");
  const says = document.getElementById("tail-says");
  const query = tail.dataset.q;
  const seen = Number(tail.dataset.position);

  let fetched = seen; // looked at up to here
  let shown = seen; // what the list holds of it
  let waiting = []; // rows, the newest first
  let more = false; // beyond those
  let following = false;
  let looking = false;
  let again = false;
  let timer = null;
  let lastLook = 0;
  let over = "";

  async function look() {
    timer = null;
    if (over || looking) {
      again = looking;
      return;
    }
    if (more && waiting.length >= MOST_WAITING) return;
    looking = true;
    lastLook = Date.now();
    let taken = 0;
    try {
      do {
        const rows = await next();
        if (!rows) break;
        taken += rows.length;
        waiting = [...rows, ...waiting];
        if (following) insert();
      } while (more && waiting.length < MOST_WAITING && taken < MOST_WAITING);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the stream says when the server is back
      more = false;
    } finally {
      looking = false;
    }
    if (more && following) {
      following = false; // nobody reads that fast
      again = false;
    }
    tell();
    if (again) lookSoon();
    again = false;
  }

  /** The rows next above what was looked at; null when there is nothing to be had any more. */
  async function next() {
    const wanted = new URLSearchParams({ after: fetched });
    if (query) wanted.set("q", query);
    const answer = await fetch(`${tail.dataset.newer}?${wanted}`);
    if (answer.redirected || answer.status === 404) over = "You are signed out. Reload the page.";
    else if (!answer.ok) over = "The server does not answer as it should. Reload the page.";
    if (over) {
      more = false;
      return null;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("tbody");
    const position = Number(found.dataset.position);
    if (position < fetched) {
      over = "The log was put back to an earlier state. Reload the page.";
      more = false;
      return null;
    }
    fetched = position;
    more = found.dataset.more === "yes";
    return [...found.rows].map((row) => document.adoptNode(row));
  }

  function insert() {
    shown = fetched;
    if (waiting.length) {
      for (const row of body.querySelectorAll(".is-new")) row.classList.remove("is-new");
      for (const row of waiting) row.classList.add("is-new");
      body.prepend(...waiting);
      waiting = [];
      table.closest(".table-frame").hidden = false;
      document.getElementById("none")?.remove();
      trim();
    }
    tellWhatIsShown();
  }

  function trim() {
    if (body.rows.length <= MOST_SHOWN) return;
    for (const row of [...body.rows].slice(MOST_SHOWN)) row.remove();
    const lowest = body.rows[body.rows.length - 1].dataset.seq;
    document.getElementById("beginning")?.remove();
    let older = document.getElementById("older");
    if (!older) {
      older = document.createElement("a");
      older.id = "older";
      older.className = "button";
      older.rel = "next";
      document.querySelector(".pager").append(older);
    }
    const url = new URL(location.href);
    url.searchParams.set("before", lowest);
    older.href = url.search;
    older.textContent = "Older";
  }

  /** A copy and a link are of exactly what the list holds, the new rows too. */
  function tellWhatIsShown() {
    const end = document.querySelector(".export [name=to_seq]");
    if (end) {
      end.value = shown;
      document.querySelector("[data-to-seq]").textContent = shown.toLocaleString("en");
    }
    const link = document.getElementById("permalink");
    const url = new URL(link.textContent);
    url.searchParams.set("before", shown + 1);
    link.textContent = url.href;
    const counted = document.querySelector(".facets h2");
    if (counted && shown > seen) counted.textContent = counted.dataset.later;
  }

  function tell() {
    const count = waiting.length;
    const many = `${count}${more ? "+" : ""}`;
    follow.setAttribute("aria-pressed", String(following));
    follow.textContent = following ? "Pause" : "Follow";
    show.hidden = following || !count;
    show.textContent = more ? `Show the next ${count}` : `Show ${count} new`;
    skip.hidden = !more;
    if (over) says.textContent = over;
    else if (more) says.textContent = `${many} new, more than one can read at once`;
    else if (count) says.textContent = `${many} new`;
    else says.textContent = following ? "Following" : "";
  }

  function lookSoon() {
    if (timer) return;
    timer = setTimeout(look, Math.max(AT_ONCE_MS, lastLook + EVERY_MS - Date.now()));
  }

  function showWaiting() {
    const came = more;
    insert();
    more = false;
    tell();
    if (came) look();
  }

  follow.addEventListener("click", () => {
    following = !following;
    if (following) showWaiting();
    tell();
    if (following) lookSoon();
  });
  show.addEventListener("click", showWaiting);
  skip.addEventListener("click", () => {
    const url = new URL(location.href);
    url.searchParams.delete("before");
    url.searchParams.delete("after");
    location.assign(url);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (!show.hidden) show.click();
    else follow.click();
  });
  document.addEventListener("live:paused", (event) => {
    if (event.detail) says.textContent = "Live changes are stopped";
  });
  tail.hidden = false;
  onEvents(lookSoon);
}
