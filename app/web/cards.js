/** The code card: what the index says about the meaning of one code. */

import { api } from "./api.js";
import { colourOf } from "./colours.js";
import { clock, count, fill, h, icon } from "./dom.js";
import { itemPlayer } from "./player.js";
import { problemNote } from "./problem.js";
import { nameOf } from "./results.js";
import { href, note } from "./router.js";
import { codeButton, codeName, KINDS, layerOf } from "./timeline.js";

/** @typedef {import("./api.js").Modality} Modality */
/** @typedef {{id: string, modality: Modality, second: number, word: string | null}} Place */

const AGREES = 0.5;
const PLACES = 6; // shown of each modality

/** @type {HTMLDialogElement | null} */
let dialog = null;

/** Open the card of a code; that of another one takes its place. @param {number} row @param {number} code */
export async function openCard(row, code) {
  const body = h(
    "div",
    { class: "card-body", "aria-busy": "true" },
    h("div", { class: "bone" }),
    h("div", { class: "bone short" }),
  );
  const title = codeName(row, code).replaceAll(", ", " · ");
  const shown = opened();
  fill(
    shown,
    h(
      "header",
      { class: "card-head" },
      h("span", { class: "swatch", style: { "--colour": colourOf(row, code) } }),
      h("h2", { id: "card-title" }, title),
      h(
        "button",
        { type: "button", class: "quiet", "aria-label": "Close", onclick: () => shown.close() },
        icon("close"),
      ),
    ),
    body,
  );
  if (!shown.open) shown.showModal();
  note("code", `${row}.${code}`);
  try {
    fill(body, await content(await api.card(layerOf(row), row, code)));
  } catch (error) {
    fill(body, problemNote(error));
  }
  body.removeAttribute("aria-busy");
}

/** Close the card, if one is open. */
export function closeCard() {
  if (dialog?.open) dialog.close();
}

/** @returns {HTMLDialogElement} */
function opened() {
  if (!dialog) {
    dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: "card", "aria-labelledby": "card-title" }));
    dialog.addEventListener("close", () => {
      fill(/** @type {Element} */ (dialog)); // players stop
      note("code", null);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog?.close());
    document.body.append(dialog);
  }
  return dialog;
}

/** @param {any} card */
async function content(card) {
  const counts = /** @type {[Modality, number][]} */ (Object.entries(card.counts));
  if (!counts.some(([, number]) => number)) return h("p", { class: "soft" }, "No item in the index has this code.");
  const said = counts.map(([kind, number]) => h("li", {}, icon(KINDS[kind].icon), count(number, KINDS[kind].step)));
  const places = /** @type {Place[]} */ (card.best);
  const kinds = /** @type {Modality[]} */ (["video", "audio"]);
  return [
    h("ul", { class: "counts", "aria-label": "Occurrences" }, said),
    agreement(card.agreement),
    card.words.length ? section(
      "Words",
      h(
        "ul",
        { class: "chips" },
        card.words.map(
          (/** @type {any} */ own) => h("li", {}, own.word, " ", h("span", { class: "soft" }, own.count)),
        ),
      ),
    ) : null,
    ...(await Promise.all(kinds.map((kind) => best(kind, places)))),
    await sentences(places),
    card.companions.length ? section(
      "Often occurs beside",
      h(
        "div",
        { class: "chips" },
        card.companions.map(
          (/** @type {any} */ own) => codeButton(own.row, own.code, { text: codeName(own.row, own.code) }),
        ),
      ),
    ) : null,
  ];
}

/** @param {Record<string, number> | null} measured */
function agreement(measured) {
  if (!measured) return h(
    "p",
    { class: "soft" },
    "Agreement between sound, video and text was not measured for this checkpoint.",
  );
  const said = Object.entries(measured).map(
    ([pair, share]) => h(
      "li",
      { class: share >= AGREES ? "good" : "" },
      pair.replace("~", "and"),
      " ",
      h("b", {}, `${Math.round(100 * share)} %`),
    ),
  );
  return section("Agreement between modalities", h("ul", { class: "chips" }, said));
}

/** @param {string} title @param {...any} inside */
const section = (title, ...inside) => h("section", {}, h("h3", {}, title), inside);

/** @param {Modality} kind @param {Place[]} places */
async function best(kind, places) {
  const own = places.filter((place) => place.modality === kind).slice(0, PLACES);
  if (!own.length) return null;
  const tiles = await Promise.all(own.map(tile));
  return section(kind === "video" ? "Typical pictures" : "Typical sounds", h("ul", { class: "places" }, tiles));
}

/** @param {Place} place */
async function tile(place) {
  const item = await api.item(place.id);
  const name = nameOf(item);
  const player = itemPlayer(item, { name });
  const isLong = item.duration_seconds !== null;
  const at = isLong ? clock(place.second) : "picture";
  return h(
    "li",
    {},
    player.element,
    h("a", { href: href({ like: place.id }), class: "place-name" }, name),
    player.canPlay ? h(
      "button",
      { type: "button", class: "small", onclick: () => player.seek(place.second) },
      icon("play"),
      at,
    ) : h("span", { class: "soft" }, at),
  );
}

/** @param {Place[]} places */
async function sentences(places) {
  const own = places.filter((place) => place.modality === "text").slice(0, PLACES);
  if (!own.length) return null;
  const lines = own.map(async (place) => {
    const { text } = await api.item(place.id);
    return h(
      "li",
      {},
      h("a", { href: href({ like: place.id }) }, text),
      place.word ? h("span", { class: "soft" }, ` at “${place.word}”`) : null,
    );
  });
  return section("Typical sentences", h("ul", {}, await Promise.all(lines)));
}
