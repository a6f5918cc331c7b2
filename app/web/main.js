/** The page: what its address says is shown. */

import { onKeyNeeded } from "./api.js";
import { closeCard, openCard } from "./cards.js";
import { showCompare } from "./compare.js";
import { listenForDrops, noDrop } from "./drop.js";
import { showItems } from "./items.js";
import { showJobs, stopWatching } from "./jobs.js";
import { askForKey } from "./key.js";
import { start } from "./router.js";
import { showSearch } from "./search.js";
import { watchStatus } from "./status.js";
import { setLayers } from "./timeline.js";

const VIEWS = { search: showSearch, items: showItems, compare: showCompare, jobs: showJobs };
const TITLES = { search: "Search", items: "Items", compare: "Compare", jobs: "Jobs" };

/** @param {import("./router.js").Place} place */
function show(place) {
  const view = /** @type {keyof typeof VIEWS} */ (place.view in VIEWS ? place.view : "search");
  for (const link of document.querySelectorAll("[data-view-link]:not(.brand)")) {
    if (link.getAttribute("data-view-link") === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const about = place.params.get("q");
  document.title = `${about ? `${about} · ` : view === "search" ? "" : `${TITLES[view]} · `}SRCID`;
  const code = place.params.get("code")?.split(".").map(Number);
  if (!code) closeCard();
  noDrop();
  stopWatching();
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  const hadFocus = main.contains(document.activeElement);
  VIEWS[view](main, place);
  if (hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true });
  if (code?.length === 2) openCard(code[0], code[1]);
}

onKeyNeeded(askForKey);
listenForDrops();
document.addEventListener("srcid:code", (event) => {
  const { row, code } = /** @type {CustomEvent} */ (event).detail;
  openCard(row, code);
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
  const field = document.querySelector("#q");
  if (field instanceof HTMLInputElement) {
    event.preventDefault();
    field.select();
  }
});
await watchStatus((model) => setLayers(model.code_layers));
start(show);
