/** What a search found: a card for each item, its streams together. */

import { api } from "./api.js";
import { clock, count, fill, h, icon, roving } from "./dom.js";
import { itemPlayer } from "./player.js";
import { href } from "./router.js";
import { KINDS, timeline } from "./timeline.js";

/** @typedef {import("./api.js").Hit} Hit */

const LEAD_SECONDS = 0.5; // played before the second that matched, which else begins in mid-word

/** Return how an item is called. @param {{id: string, text: string | null, metadata: Record<string, any>}} item */
export function nameOf(item) {
  const { title } = item.metadata;
  return item.text ?? (typeof title === "string" && title ? title : item.id);
}

/** Return the hits of each item, in the order of its best. @param {Hit[]} hits @returns {Hit[][]} */
export function byItem(hits) {
  /** @type {Map<string, Hit[]>} */
  const groups = new Map();
  for (const hit of hits) groups.set(hit.id, [...(groups.get(hit.id) ?? []), hit]);
  return [...groups.values()];
}

/** Return the list of results. @param {Hit[]} hits */
export function results(hits) {
  const list = h("ol", { class: "results", "aria-label": "Results" }, byItem(hits).map((own) => card(own)));
  roving(list, ".result", () => getComputedStyle(list).gridTemplateColumns.split(" ").length);
  return list;
}

/** Return cards without content, for as long as a search runs. @param {number} number */
export function skeletons(number) {
  const one = () =>
    h(
      "div",
      { class: "result skeleton" },
      h("div", { class: "media" }),
      h("div", {}, h("div", { class: "bone" }), h("div", { class: "bone short" }), h("div", { class: "bone" })),
    );
  return h("div", { class: "results", "aria-hidden": "true" }, Array.from({ length: number }, one));
}

/** @param {Hit[]} hits of one item, the best first */
function card(hits) {
  const [best] = hits;
  const name = nameOf(best);
  const body = h("div", { class: "result-body" });
  const frame = best.text === null ? h("div", { class: "media" }) : h("span", { hidden: true });
  const article = h(
    "article",
    { class: "result", tabindex: -1, "aria-label": `${name}, score ${best.score.toFixed(2)}` },
    frame,
    body,
  );
  const lower = h("div", { class: "result-lower" }, h("div", { class: "bone" }));
  const seek = { to: (/** @type {number} */ _second) => {} };
  const jump = jumpButton(hits, (second) => seek.to(second));
  fill(body, heading(best, name), scores(hits), lower, actions(best, jump));
  article.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && event.target === article) jump?.click();
  });

  api.item(best.id).then(
    (item) => {
      const line = timeline(item.streams, {
        curves: Object.fromEntries(hits.map((hit) => [hit.modality, hit.curve ?? []])),
        best: Object.fromEntries(hits.map((hit) => [hit.modality, hit.best_second])),
        text: item.text,
        onSeek: item.has_media && item.duration_seconds !== null ? (second) => seek.to(second) : undefined,
      });
      const player = itemPlayer(item, { name, onTime: line.mark });
      seek.to = (second) => player.seek(Math.max(0, second - LEAD_SECONDS));
      if (jump && !player.canPlay) jump.remove();
      if (item.text === null) frame.replaceWith(player.element);
      fill(lower, line.element);
    },
    (problem) => fill(lower, h("p", { class: "soft" }, problem.message)),
  );
  return h("li", {}, article);
}

/** @param {Hit} hit @param {string} name */
function heading(hit, name) {
  const about = name === hit.id ? "" : hit.id;
  return h("header", {}, h("h3", {}, name), about ? h("p", { class: "soft mono" }, about) : null);
}

/** @param {Hit[]} hits */
function scores(hits) {
  return h(
    "ul",
    { class: "scores", "aria-label": count(hits.length, "stream") },
    hits.map((hit) => {
      const sure = hit.probability === null ? null : `${percent(hit.probability)} likely`;
      return h(
        "li",
        { class: "score", title: "Cosine similarity of query and stream, in [-1, 1]" },
        icon(KINDS[hit.modality].icon),
        h("span", { class: "unseen" }, KINDS[hit.modality].label),
        h("b", {}, hit.score.toFixed(2)),
        sure ? h("span", { class: "soft" }, sure) : null,
      );
    }),
  );
}

/** Return a probability that never claims to be certain. @param {number} probability */
function percent(probability) {
  if (probability < 0.01) return "< 1 %";
  return probability > 0.99 ? "> 99 %" : `${Math.round(100 * probability)} %`;
}

/** Return the button that plays the second that matched; none for pictures and sentences.
 * @param {Hit[]} hits @param {(second: number) => void} seek */
function jumpButton(hits, seek) {
  const second = hits.find((hit) => hit.best_second !== null)?.best_second;
  if (second === undefined || second === null || !hits[0].has_media) return null;
  return h(
    "button",
    { type: "button", class: "primary small", onclick: () => seek(second) },
    `Play from ${clock(second)}`,
  );
}

/** @param {Hit} hit @param {HTMLElement | null} jump */
function actions(hit, jump) {
  return h(
    "div",
    { class: "actions" },
    jump,
    h("a", { class: "button small", href: href({ like: hit.id }) }, "Similar"),
    h("a", { class: "button small", href: href({ view: "compare", a: `item:${hit.id}` }) }, "Compare"),
  );
}
