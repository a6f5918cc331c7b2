/** The compare view: two items or sentences, second by second. */

import { api } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { heatMap } from "./heat_map.js";
import { itemPlayer } from "./player.js";
import { problemNote } from "./problem.js";
import { nameOf } from "./results.js";
import { go } from "./router.js";
import { KINDS, stripLegend, timeline } from "./timeline.js";

/** @typedef {import("./api.js").Modality} Modality */
/** @typedef {{kind: "item" | "text", value: string}} Side */

const LISTED = 500;

/** Show the view. @param {Element} main @param {import("./router.js").Place} place */
export function showCompare(main, place) {
  const a = sideOf(place.params.get("a"));
  const b = sideOf(place.params.get("b"));
  const [first, second] = [field("a", "First", a), field("b", "Second", b)];
  const out = h("section", { "aria-label": "Comparison" });
  const form = h(
    "form",
    {
      class: "panel compare-form",
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        const data = new FormData(form);
        const side = (/** @type {string} */ name) => (data.get(name) ? `${data.get(`${name}-kind`)}:${data.get(name)}` : "");
        go({ view: "compare", a: side("a"), b: side("b") });
      },
    },
    first.element,
    second.element,
    h("button", { class: "primary", type: "submit" }, "Compare"),
  );
  fill(main, h("h1", {}, "Compare"), form, out);
  list([[first.items, a], [second.items, b]]);
  if (a && b) compare(out, a, b);
  else {
    fill(
      out,
      h(
        "div",
        { class: "empty" },
        h(
          "p",
          {},
          a ? "Choose what to compare it with." : "Choose two items or sentences. A heat map shows which seconds are similar.",
        ),
      ),
    );
    /** @type {HTMLElement} */ (form.querySelector(`[name=${a ? "b" : "a"}]`)).focus();
  }
}

/** @param {string | null} value @returns {Side | null} */
function sideOf(value) {
  const match = value?.match(/^(item|text):(.+)$/s);
  return match ? { kind: /** @type {"item" | "text"} */ (match[1]), value: match[2] } : null;
}

/** Return the fields of a side: an item that is chosen, or a sentence that is typed.
 * @param {string} name @param {string} title @param {Side | null} side */
function field(name, title, side) {
  const isText = side?.kind === "text";
  const about = { name, "aria-label": title, required: true };
  const items = h("select", about);
  const text = h("input", { ...about, value: isText ? side.value : "", autocomplete: "off" });
  const kinds = h(
    "select",
    {
      name: `${name}-kind`,
      "aria-label": `${title}: type`,
      onchange: () => (kinds.value === "text" ? items.replaceWith(text) : text.replaceWith(items)),
    },
    h("option", { value: "item" }, "Item"),
    h("option", { value: "text", selected: isText }, "Sentence"),
  );
  return { items, element: h("fieldset", { class: "side" }, h("legend", {}, title), kinds, isText ? text : items) };
}

/** Fill the lists of items; an item that a side has is in its list, however long the index is.
 * @param {[HTMLSelectElement, Side | null][]} selects */
async function list(selects) {
  /** @type {{items: import("./api.js").Item[], next_cursor: string | null}} */
  const page = await api.items(null, LISTED).catch(() => ({ items: [], next_cursor: null }));
  for (const [select, side] of selects) {
    const chosen = side?.kind === "item" ? side.value : null;
    const named = page.items.map((item) => [item.id, nameOf(item)]);
    if (chosen && !page.items.some((item) => item.id === chosen)) named.unshift([chosen, chosen]);
    fill(
      select,
      h("option", { value: "" }, named.length ? "Choose an item" : "The index is empty"),
      named.map(([id, name]) => h("option", { value: id, selected: id === chosen }, name === id ? id : `${name} (${id})`)),
      page.next_cursor ? h("option", { disabled: true }, "For others, open Compare beside the item") : null,
    );
  }
}

/** @param {HTMLElement} out @param {Side} a @param {Side} b */
async function compare(out, a, b) {
  fill(out, h("div", { class: "bone tall" }));
  out.setAttribute("aria-busy", "true");
  const body = (/** @type {Side} */ side) => (side.kind === "item" ? { item: side.value } : { text: side.value });
  try {
    const [answer, left, right] = await Promise.all([api.compare(body(a), body(b), "both"), shown(a), shown(b)]);
    const order = ["video", "audio", "text"]; // as the strips are
    answer.maps.sort(
      (/** @type {any} */ x, /** @type {any} */ y) => order.indexOf(x.a) - order.indexOf(y.a) || order.indexOf(x.b) - order.indexOf(y.b),
    );
    const maps = answer.maps.map((/** @type {any} */ map) => section(map, left, right));
    fill(out, stripLegend(), h("div", { class: "sides" }, left.element, right.element), legend(), h("div", { class: "maps" }, maps));
    announce(`${maps.length} heat maps`);
  } catch (error) {
    fill(out, problemNote(error));
  }
  out.removeAttribute("aria-busy");
}

/** Return what the colours of the maps mean. */
const legend = () => h("p", { class: "legend" }, "−1 opposite", h("span", { "aria-hidden": "true" }), "1 similar");

/** Return one side with its player and codes. @param {Side} side */
async function shown(side) {
  const item = side.kind === "item" ? await api.item(side.value) : null;
  const streams = (item ?? (await api.encodeText(side.value))).streams;
  const name = item ? nameOf(item) : `“${side.value}”`;
  const line = timeline(streams, { text: item ? item.text : side.value });
  const player = item && !item.text ? itemPlayer(item, { name, onTime: line.mark }) : null;
  return {
    name,
    streams,
    seek: player?.canPlay ? player.seek : null,
    element: h("div", { class: "panel side-shown" }, player?.element, h("h2", {}, name), line.element),
  };
}

/** @typedef {Awaited<ReturnType<typeof shown>>} Shown */

/** @param {{a: Modality, b: Modality, score: number, cosines: number[][]}} map @param {Shown} left @param {Shown} right */
function section(map, left, right) {
  const title = `${KINDS[map.a].label} and ${KINDS[map.b].label.toLowerCase()}`;
  const drawn = heatMap(map.cosines, {
    title: `${title} of ${left.name} and ${right.name}`,
    rows: { codes: left.streams[map.a].codes, step: KINDS[map.a].step, name: left.name },
    columns: { codes: right.streams[map.b].codes, step: KINDS[map.b].step, name: right.name },
    onChoose: (row, column) => {
      if (map.a !== "text") left.seek?.(row);
      else if (map.b !== "text") right.seek?.(column);
    },
  });
  return h(
    "section",
    { class: "panel map" },
    h("h2", {}, title, h("span", { class: "soft" }, ` ${map.score.toFixed(2)}`)),
    drawn,
  );
}
