/** A stream over time: its likeness by the second as a curve, and its codes as a strip of colours. */

import { colourOf } from "./colours.js";
import { clock, h, icon, roving } from "./dom.js";

/** @typedef {import("./api.js").Modality} Modality */

/** @type {Record<Modality, {label: string, icon: "seen" | "heard" | "words", step: string}>} */
export const KINDS = {
  video: { label: "Video", icon: "seen", step: "second" },
  audio: { label: "Sound", icon: "heard", step: "second" },
  text: { label: "Words", icon: "words", step: "word" },
};

let layers = [1, 2];

/** Tell which layer each row of codes is of. @param {number[]} codeLayers */
export function setLayers(codeLayers) {
  layers = codeLayers;
}

/** Return the layers that the checkpoint has. */
export const knownLayers = () => [...new Set(layers)];

/** @param {number} row */
export const layerOf = (row) => layers[row] ?? row + 1;

/** Return how a code is called; several rows of a layer are counted. @param {number} row @param {number} code */
export function codeName(row, code) {
  const rows = layers.flatMap((layer, index) => (layer === layerOf(row) ? index : []));
  const which = rows.length > 1 ? `, row ${rows.indexOf(row) + 1}` : "";
  return `Layer ${layerOf(row)}${which}, code ${code}`;
}

/** Return what strips and bars mean. @param {{hasCurves?: boolean}} [options] whether bars are shown too */
export const stripLegend = ({ hasCurves = false } = {}) =>
  h(
    "p",
    { class: "strip-legend soft" },
    hasCurves ? h("span", {}, h("i", { class: "key-bar", "aria-hidden": "true" }), "similarity per second") : null,
    h("span", {}, h("i", { class: "key-code", "aria-hidden": "true" }), "equal colours are equal codes"),
  );

/**
 * Return the streams of an item or query, one below the other on the same axis of time.
 * @param {Partial<Record<Modality, {codes: number[][]}>>} streams
 * @param {{curves?: Partial<Record<Modality, number[]>>, best?: Partial<Record<Modality, number | null>>,
 *   text?: string | null, onSeek?: (second: number) => void}} [options] `text`: what the words are
 */
export function timeline(streams, { curves = {}, best = {}, text, onSeek } = {}) {
  const kinds = /** @type {Modality[]} */ (["video", "audio", "text"]).filter((kind) => streams[kind]);
  const longest = Math.max(1, ...kinds.map((kind) => streams[kind]?.codes[0]?.length ?? 0));
  const head = h("div", { class: "playhead", hidden: true });
  const rows = kinds.map((kind) => {
    const codes = streams[kind]?.codes ?? [];
    const curve = curves[kind];
    const share = { "--share": (codes[0]?.length ?? 1) / longest };
    return h(
      "div",
      { class: "stream" },
      h(
        "span",
        { class: "stream-name", title: KINDS[kind].label },
        icon(KINDS[kind].icon),
        h("span", {}, KINDS[kind].label),
      ),
      h(
        "div",
        { class: "stream-body", style: share },
        curve ? bars(curve, { kind, best: best[kind] ?? null, onSeek: kind === "text" ? undefined : onSeek }) : null,
        strip(codes, kind),
        kind === "text" && text ? wordRow(text, codes[0]?.length ?? 0) : null,
      ),
    );
  });
  const element = h(
    "div",
    { class: "timeline" },
    rows,
    h("div", { class: "playhead-lane", "aria-hidden": "true" }, head),
  );
  return {
    element,
    /** Show where the player is. @param {number | null} second */
    mark(second) {
      head.hidden = second === null;
      if (second !== null) head.style.setProperty("left", `${Math.min(100, (100 * second) / longest)}%`);
    },
  };
}

/** Return the words below their codes, where there is a code for each. @param {string} text @param {number} steps */
function wordRow(text, steps) {
  const words = text.trim().split(/\s+/);
  return words.length === steps ? h("div", { class: "word-row" }, words.map((word) => h("span", {}, word))) : null;
}

/**
 * @param {number[]} curve likeness by the step, in [-1, 1]
 * @param {{kind: Modality, best: number | null, onSeek?: (second: number) => void}} options
 */
function bars(curve, { kind, best, onSeek }) {
  const step = KINDS[kind].step;
  const group = h("div", { class: "curve", role: "group", "aria-label": `Similarity per ${step}` });
  curve.forEach((likeness, index) => {
    const at = step === "second" ? clock(index) : `word ${index + 1}`;
    const label = `${at}, similarity ${likeness.toFixed(2)}${index === best ? ", best match" : ""}`;
    const fillHeight = { "--height": Math.max(0.06, Math.min(1, likeness)).toFixed(3) };
    const shown = { class: index === best ? "bar best" : "bar", style: fillHeight, title: label };
    group.append(
      onSeek
        ? h("button", { ...shown, type: "button", "aria-label": `Play from ${label}`, onclick: () => onSeek(index) })
        : h("span", { ...shown, role: "img", "aria-label": label }),
    );
  });
  roving(group, "button");
  return group;
}

/**
 * Return codes as colours, a row a layer and a column a second. Choosing one opens its card.
 * @param {number[][]} codes
 * @param {Modality} kind
 */
function strip(codes, kind) {
  const length = codes[0]?.length ?? 0;
  const group = h("div", {
    class: "strip",
    role: "group",
    "aria-label": `Codes of ${KINDS[kind].label.toLowerCase()}`,
    style: { "--steps": Math.max(1, length) },
  });
  codes.forEach((row, r) => row.forEach((code, step) => group.append(codeButton(r, code, { kind, step }))));
  roving(group, "button", () => length);
  return group;
}

/**
 * Return a code as a button that opens its card.
 * @param {number} row
 * @param {number} code
 * @param {{kind?: Modality, step?: number, text?: string}} [about]
 */
export function codeButton(row, code, { kind, step, text } = {}) {
  const where = kind && step !== undefined ? `, ${KINDS[kind].step} ${KINDS[kind].step === "second" ? clock(step) : step + 1}` : "";
  const label = `${codeName(row, code)}${where}`;
  return h(
    "button",
    {
      type: "button",
      class: text ? "code chip" : "code",
      title: label,
      "aria-label": text ? null : label, // else the text is the name
      style: { "--colour": colourOf(row, code) },
      onclick: (/** @type {Event} */ event) => {
        event.currentTarget?.dispatchEvent(new CustomEvent("srcid:code", { bubbles: true, detail: { row, code } }));
      },
    },
    text,
  );
}
