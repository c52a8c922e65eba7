// A list of what can be typed next, as WAI-ARIA's combobox with a list: the focus stays in the
// input, arrows go through the list, Enter or Tab take what is marked, Escape closes it.

const FIELDS = [
  ["type:", "which types of events"],
  ["agent:", "about which agent"],
  ["actor:", "who did it"],
  ["since:", "from when on"],
  ["until:", "before when"],
  ["hours:", "in or out of working hours"],
  ["correlation:", "the id that ties events together"],
  ["causation:", "the id of what caused it"],
  ["seq:", "places of the log"],
].map(([text, what]) => ({ text, what, goesOn: true }));
const FIXED = {
  since: ["1h", "24h", "7d", "30d", "today", "yesterday"].map((text) => ({ text, what: "" })),
  hours: [
    { text: "off", what: "nights and weekends" },
    { text: "work", what: "the rest" },
  ],
};
FIXED.until = FIXED.since;
const ASKED = ["type", "agent", "actor"]; // of the server
const AFTER_MS = 80; // nobody reads a list between two letters

/** Offer completions under the input. */
export function begin(input) {
  const list = document.createElement("ul");
  list.id = "q-list";
  list.role = "listbox";
  list.ariaLabel = "What can stand here";
  list.hidden = true;
  input.after(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  const url = input.parentElement.dataset.completions;
  let items = [];
  let place = null; // {start, end} of what a choice replaces
  let marked = -1;
  let timer = null;
  let asking = null;

  function close() {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    marked = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function open(found, where) {
    items = found;
    place = where;
    marked = -1;
    input.removeAttribute("aria-activedescendant");
    list.replaceChildren(...found.map(optionOf));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
  }

  function mark(index) {
    marked = index;
    [...list.children].forEach((option, number) => {
      option.setAttribute("aria-selected", String(number === index));
      if (number !== index) return;
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    });
  }

  function take(index) {
    const { text, goesOn } = items[index];
    const rest = input.value.slice(place.end);
    const said = goesOn || rest.startsWith(" ") ? text : `${text} `;
    input.setRangeText(said, place.start, place.end, "end");
    close();
    input.focus();
    if (goesOn) offer();
  }

  async function offer({ asked = false } = {}) {
    clearTimeout(timer);
    asking?.abort();
    const at = termAt(input.value, input.selectionStart);
    if (!at || (!at.typed && !at.field && !asked)) return close();
    if (!at.field)
      return open(FIELDS.filter(({ text }) => text.startsWith(at.typed)), at);
    if (!ASKED.includes(at.field)) {
      const fixed = FIXED[at.field] ?? [];
      return open(fixed.filter(({ text }) => text.startsWith(at.typed) && text !== at.typed), at);
    }
    asking = new AbortController();
    const query = new URLSearchParams({ field: at.field, prefix: at.typed });
    try {
      const answer = await fetch(`${url}?${query}`, { signal: asking.signal });
      if (answer.ok) open((await answer.json()).items.filter(({ text }) => text !== at.typed), at);
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(offer, AFTER_MS);
  }

  input.addEventListener("input", soon);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!isOpen) return offer({ asked: true }).then(() => items.length && !list.hidden && mark(0));
      mark((marked + step + items.length + (marked < 0 && step < 0 ? 1 : 0)) % items.length);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && isOpen && marked >= 0) {
      event.preventDefault();
      take(marked);
    } else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) close();
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the focus stays in the input
    const option = event.target.closest("[role=option]");
    if (option) take([...list.children].indexOf(option));
  });
}

function optionOf({ text, what }, number) {
  const option = document.createElement("li");
  option.role = "option";
  option.id = `q-option-${number}`;
  option.setAttribute("aria-selected", "false");
  const name = document.createElement("code");
  name.textContent = text;
  option.append(name);
  if (what) {
    const words = document.createElement("span");
    words.className = "muted";
    words.textContent = what;
    option.append(" ", words);
  }
  return option;
}

/** What stands before the caret: {field, typed, start, end} of the field's name or the alternative
 * that is being typed; null within quoted text, which nobody can complete. */
export function termAt(value, caret) {
  const before = value.slice(0, caret);
  let start = 0;
  let quoted = false;
  for (let place = 0; place < before.length; place += 1) {
    if (before[place] === "\\" && quoted) place += 1;
    else if (before[place] === '"') quoted = !quoted;
    else if (/\s/.test(before[place]) && !quoted) start = place + 1;
  }
  if (before[start] === "-") start += 1;
  const term = before.slice(start);
  const field = /^([a-z]+):/.exec(term)?.[1];
  if (!field) return quoted ? null : { field: null, typed: term, start, end: caret };
  let begins = start + field.length + 1;
  quoted = false;
  for (let place = begins; place < before.length; place += 1) {
    if (before[place] === "\\" && quoted) place += 1;
    else if (before[place] === '"') quoted = !quoted;
    else if (before[place] === "," && !quoted) begins = place + 1;
  }
  const typed = before.slice(begins).replace(/^"/, "").replace(/\\(["\\])/g, "$1");
  return { field, typed, start: begins, end: caret };
}
