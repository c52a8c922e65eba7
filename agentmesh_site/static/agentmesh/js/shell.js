// What every page has: keys that go somewhere, buttons that copy, the device's time zone.

const PREFIX_MS = 1500; // g waits so long for its second key
let wentAt = -Infinity;

const typesIn = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("input, textarea, select"));

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typesIn(event.target)) return;
  const second = event.timeStamp - wentAt < PREFIX_MS;
  wentAt = -Infinity;
  if (second) {
    const link = document.querySelector(`.sections [data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
    return;
  }
  if (event.key === "g") wentAt = event.timeStamp;
  else if (event.key === "?") document.getElementById("keys")?.togglePopover();
  else if (event.key === "l") document.getElementById("live")?.click();
  else if (event.key === "/") {
    const search = document.querySelector("[data-search], input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  }
}

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  const said = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = said), 1500);
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (button) copy(button);
  // Open menus close when one clicks elsewhere.
  for (const open of document.querySelectorAll(".switcher[open]"))
    if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll(".switcher[open], .foot-item[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

if (navigator.clipboard)
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const button of document.querySelectorAll("[data-device-zone]")) {
  if (!zone) continue;
  button.form.elements.device_zone.value = zone;
  button.textContent = `This device’s: ${zone}`;
  button.hidden = false;
}
