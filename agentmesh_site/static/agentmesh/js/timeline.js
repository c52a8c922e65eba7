// The timeline: completion of what is typed, and new events on top as they come.

import { begin as completeWhatIsTyped } from "./timeline/completion.js";
import { begin as followTheLog } from "./timeline/tail.js";

const input = document.getElementById("q");
if (input) completeWhatIsTyped(input);

// Where there is no room beside the events the facets stand above them, and closed.
const facets = document.querySelector(".facets");
if (facets && window.matchMedia("(max-width: 64rem)").matches) facets.open = false;

const tail = document.getElementById("tail");
if (tail) followTheLog(tail);
