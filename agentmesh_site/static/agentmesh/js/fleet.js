// The list of agents under the keyboard, ticks that count themselves, and rows of a form that grow.
// Everything works without this; it only takes fewer steps with it.

const scope = document.getElementById("scope");
const rows = () => [...document.querySelectorAll("#fleet tbody tr")];
const ticks = () => [...document.querySelectorAll("#fleet input[name=agent]")];
let focused = null; // the id of the row that j and k have come to

const typesIn = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox])"));

function show() {
  for (const row of rows()) row.classList.toggle("in-focus", row.id === focused);
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.id === focused);
  const to = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  focused = to.id;
  show();
  (to.querySelector("input[name=agent]") ?? to.querySelector("a")).focus({ preventScroll: true });
  to.scrollIntoView({ block: "center" });
}

function current() {
  return document.activeElement?.closest("#fleet tbody tr") ?? document.getElementById(focused);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typesIn(event.target)) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "x") current()?.querySelector("input[name=agent]")?.click();
  else if (event.key === "o") current()?.querySelector(".lead-cell a")?.click();
}

// How many are ticked, and how many match by now.
function count() {
  const all = ticks();
  const ticked = all.filter((tick) => tick.checked).length;
  const [chosen, page, matching] = scope.options;
  chosen.textContent = ticked ? `the ${ticked} ticked` : "the ticked agents";
  page.textContent = `all ${all.length} on this page`;
  const known = document.getElementById("fleet").dataset.matching;
  if (known) {
    const most = Number(matching.dataset.most);
    matching.textContent =
      `all ${Number(known).toLocaleString("en")} that match, ${most.toLocaleString("en")} at most`;
  }
  const every = document.getElementById("pick-all");
  if (!every) return;
  every.hidden = false;
  every.checked = ticked > 0 && ticked === all.length;
  every.indeterminate = ticked > 0 && ticked < all.length;
}

function onChange(event) {
  if (event.target.id === "pick-all")
    for (const tick of ticks()) tick.checked = event.target.checked;
  if (event.target.matches("#pick-all, input[name=agent]")) {
    scope.value = "chosen";
    count();
  }
}

function addRow(event) {
  const button = event.target.closest("[data-add-row]");
  if (!button) return;
  event.preventDefault();
  const group = button.parentElement;
  const row = group.querySelector(".row:last-of-type").cloneNode(true);
  const number = group.querySelectorAll(".row").length + 1;
  const [name, level] = row.children;
  name.value = "";
  level.selectedIndex = 0;
  name.setAttribute("aria-label", `Capability ${number}`);
  level.setAttribute("aria-label", `Level of capability ${number}`);
  button.before(row);
  name.focus();
}

if (document.getElementById("fleet")) {
  document.addEventListener("keydown", onKey);
  document.addEventListener("live:refreshed", show);
}
if (scope) {
  document.addEventListener("change", onChange);
  document.addEventListener("live:refreshed", count);
  window.addEventListener("pageshow", count);
  count();
}
document.addEventListener("click", addRow);
