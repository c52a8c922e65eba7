// What changes without an event: a rebuild's progress, tries, a worker's sign of life. And a secret
// that is not to be asked for again.

const EVERY_MS = 2000;

// A rebuild moves and records nothing, so no event would wake the page.
if (document.querySelector("[data-watch]"))
  setInterval(() => {
    if (!document.hidden) document.dispatchEvent(new CustomEvent("live:refresh"));
  }, EVERY_MS);

// A reload of this page would send the form again. It leads to the list instead.
const leave = document.querySelector("[data-leave-for]");
if (leave) history.replaceState(null, "", leave.dataset.leaveFor);
