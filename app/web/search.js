/** The search view: a sentence, a clip or an item as the query. */

import { api } from "./api.js";
import { announce, complain, count, fill, h, icon } from "./dom.js";
import { onDrop } from "./drop.js";
import { listenToForm, searchForm } from "./search_form.js";
import { filePlayer, itemPlayer } from "./player.js";
import { byItem, nameOf, results, skeletons } from "./results.js";
import { go, href } from "./router.js";
import { stripLegend, timeline } from "./timeline.js";
import { problemNote } from "./problem.js";

/** @typedef {import("./router.js").Place} Place */
/** @typedef {import("./api.js").Hit} Hit */

const STARTERS = 8;
const NAMES = ["targets", "layers", "score", "k", "without", "threshold"];
/** The clips that were dropped, by the number in the history's state. @type {File[]} */
const clips = [];
let running = new AbortController();

/** Show the view. @param {Element} main @param {Place} place */
export function showSearch(main, place) {
  running.abort();
  running = new AbortController();
  onDrop("Drop a clip, sound or picture to search with it", ([file]) => searchBy(file));
  const clip = place.state?.clip === undefined ? null : (clips[place.state.clip] ?? null);
  const query = { text: place.params.get("q"), like: place.params.get("like"), clip };
  const form = searchForm(place.params, { isAboutMedia: Boolean(query.like || clip) });
  listenToForm(form, {
    onSubmit: (fields) => {
      if (fields.q) go(fields);
      else if (clip || query.like) go({ ...fields, like: query.like }, { state: place.state });
      else complain(form.q, "Enter a sentence, or choose a clip");
    },
    onFile: searchBy,
  });
  const out = h("section", { class: "found", "aria-label": "Found" });
  const held = focusedIn(main);
  fill(
    main,
    h(
      "div",
      { class: "hero" },
      h("h1", { class: query.text || query.like || clip ? "unseen" : "" }, "Search video, sound and text"),
      form,
    ),
    out,
  );
  if (held) /** @type {HTMLElement | null} */ (form.querySelector(held))?.focus();
  if (query.text || query.like || clip) find(out, query, place.params, running.signal);
  else welcome(out);
}

/** Return what finds the field with the focus again, once the form is made anew. @param {Element} main */
function focusedIn(main) {
  const field = document.activeElement;
  if (!field || !main.querySelector("form.search")?.contains(field)) return null;
  const name = field.getAttribute("name");
  if (!name) return "[type=submit]";
  return field instanceof HTMLInputElement && field.type === "checkbox" ? `[name=${name}][value=${field.value}]` : `[name=${name}]`;
}

/** @param {File} file */
function searchBy(file) {
  const params = new URLSearchParams(location.search);
  clips.push(file);
  go(Object.fromEntries(NAMES.map((name) => [name, params.getAll(name)])), { state: { clip: clips.length - 1 } });
}

/** Return the options of a search as the service takes them. @param {URLSearchParams} params */
function optionsOf(params) {
  const targets = params.getAll("targets");
  const without = params.get("without");
  const threshold = params.get("threshold");
  return {
    k: Number(params.get("k") ?? 10),
    layers: params.get("layers") ?? "both",
    score: params.get("score") ?? "mean",
    curves: true,
    ...(targets.length ? { targets } : {}),
    ...(without ? { exclude: [without] } : {}),
    ...(threshold ? { threshold: Number(threshold) } : {}),
  };
}

/**
 * @param {HTMLElement} out
 * @param {{text: string | null, like: string | null, clip: File | null}} query
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 */
async function find(out, query, params, signal) {
  out.setAttribute("aria-busy", "true");
  const about = h("div", { class: "query" });
  const list = h("div", {}, skeletons(8));
  fill(out, about, list);
  const options = optionsOf(params);
  showQuery(about, query, signal);
  try {
    const answer = await asked(query, options, signal);
    const hits = query.like ? answer.hits.filter((/** @type {Hit} */ hit) => hit.id !== query.like) : answer.hits;
    fill(list, summary(answer, hits, query), hits.length ? [stripLegend({ hasCurves: true }), results(hits)] : null);
  } catch (error) {
    if (signal.aborted) return;
    fill(list, problemNote(error));
  }
  out.removeAttribute("aria-busy");
}

/**
 * @param {{text: string | null, like: string | null, clip: File | null}} query
 * @param {Record<string, any>} options
 * @param {AbortSignal} signal
 */
function asked({ text, like, clip }, options, signal) {
  if (clip) return api.searchFile(clip, options, signal);
  // An item is most like itself: room for its streams, which are not shown.
  if (like) return api.search({ item: like, ...options, k: options.k + 2 }, signal);
  return api.search({ text, ...options }, signal);
}

/**
 * @param {{nothing_matches: boolean | null}} answer
 * @param {Hit[]} hits
 * @param {{text: string | null}} query
 */
function summary(answer, hits, query) {
  const number = byItem(hits).length;
  if (!hits.length) {
    const said = "No results";
    announce(said);
    return h(
      "div",
      { class: "empty" },
      h("h2", {}, said),
      h(
        "p",
        {},
        "Try other words, search all types, or ",
        h("a", { href: href({ view: "items" }) }, "add items"),
        ".",
      ),
    );
  }
  if (answer.nothing_matches) {
    const said = query.text ? `No confident match for “${query.text}”` : "No confident match";
    announce(`${said}. Showing ${count(number, "result")}.`);
    return h(
      "div",
      { class: "notice warn" },
      h("h2", {}, said),
      h("p", {}, "Showing the closest results. None is more likely right than wrong."),
    );
  }
  announce(count(number, "result"));
  return h("h2", { class: "count" }, count(number, "result"));
}

/**
 * @param {HTMLElement} about
 * @param {{text: string | null, like: string | null, clip: File | null}} query
 * @param {AbortSignal} signal
 */
async function showQuery(about, { text, like, clip }, signal) {
  const clear = h(
    "a",
    { class: "button quiet", href: "?", "aria-label": "New search" },
    icon("close"),
  );
  const line = (/** @type {any} */ streams) => timeline(streams, { text }).element;
  const show = (/** @type {any} */ media, /** @type {string} */ title, /** @type {any} */ streams) =>
    fill(
      about,
      h(
        "div",
        { class: "query-card" },
        media,
        h(
          "div",
          { class: "query-body" },
          text ? null : h("p", { class: "soft" }, clip ? "Similar to this clip" : "Similar to this item"),
          h("h2", { class: text ? "unseen" : "" }, title), // the sentence stands in the field above
          streams ? line(streams) : h("div", { class: "bone" }),
        ),
        clear,
      ),
    );
  try {
    if (clip) {
      const { element } = filePlayer(clip);
      show(element, clip.name, null);
      show(element, clip.name, (await api.encodeFile(clip, signal)).streams);
    } else if (like) {
      const item = await api.item(like);
      const media = item.text === null ? itemPlayer(item, { name: nameOf(item) }).element : null;
      show(media, nameOf(item), item.streams);
    } else if (text) {
      show(null, `“${text}”`, null);
      show(null, `“${text}”`, (await api.encodeText(text, signal)).streams);
    }
  } catch {
    fill(about); // the search itself says what is wrong
  }
}

/** Show what can be started from. @param {HTMLElement} out */
async function welcome(out) {
  try {
    const page = await api.items(null, STARTERS);
    if (!page.items.length) {
      const first = h("a", { class: "button primary", href: href({ view: "items" }) }, "Add the first item");
      fill(
        out,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, "The index is empty"),
          h("p", {}, "Add clips, sounds, pictures or sentences, then search them."),
          first,
        ),
      );
      return;
    }
    const tiles = page.items.map((item) =>
      h(
        "li",
        {},
        h(
          "a",
          { class: "tile", href: href({ like: item.id }) },
          itemPlayer({ ...item, has_media: false }, { name: "" }).element,
          h("span", {}, nameOf(item)),
        ),
      ),
    );
    fill(out, h("h2", { class: "count" }, "Or start from an item"), h("ul", { class: "tiles" }, tiles));
  } catch (error) {
    fill(out, problemNote(error));
  }
}
