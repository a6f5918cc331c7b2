/** The cosines of each second of one stream with each of another, as a picture that can be read out. */

import { colourOf } from "./colours.js";
import { clock, h } from "./dom.js";

/** @typedef {{codes: number[][], step: string, name: string}} Axis */

const LARGEST_CELL = 56; // CSS pixels
const SMALLEST_CELL = 6;
const STRIP = 7; // thickness of a row of codes beside the map
const GAP = 6;

/**
 * Return the map: arrow keys or the pointer choose a cell, Enter or a click plays it.
 * @param {number[][]} cosines [T1, T2]
 * @param {{title: string, rows: Axis, columns: Axis, onChoose: (row: number, column: number) => void}} options
 */
export function heatMap(cosines, { title, rows, columns, onChoose }) {
  const height = cosines.length;
  const width = cosines[0].length;
  const edge = GAP + STRIP * rows.codes.length;
  const cell = Math.max(SMALLEST_CELL, Math.min(LARGEST_CELL, Math.floor(420 / Math.max(width, height))));
  const canvas = /** @type {HTMLCanvasElement} */ (
    h(
      "canvas",
      {
        class: "heat",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "heat map",
        "aria-label": `${title}; arrow keys choose a cell, Enter plays it`,
      },
    )
  );
  const told = h("output", { class: "heat-told" });
  const best = peak(cosines);
  let chosen = best;

  function draw() {
    const scale = devicePixelRatio;
    const size = [edge + cell * width, edge + cell * height];
    [canvas.width, canvas.height] = size.map((side) => Math.round(side * scale));
    canvas.style.setProperty("width", `${size[0]}px`);
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(scale, scale);
    const tokens = getComputedStyle(document.documentElement);
    columns.codes.forEach(
      (codes, r) => codes.forEach(
        (code, i) => paint(pen, colourOf(r, code), [edge + i * cell, r * STRIP, cell - 1, STRIP - 1]),
      ),
    );
    rows.codes.forEach(
      (codes, r) => codes.forEach(
        (code, i) => paint(pen, colourOf(r, code), [r * STRIP, edge + i * cell, STRIP - 1, cell - 1]),
      ),
    );
    cosines.forEach((line, y) =>
      line.forEach((cosine, x) => {
        paint(pen, tokens.getPropertyValue("--sunken"), [edge + x * cell, edge + y * cell, cell - 1, cell - 1]);
        pen.globalAlpha = Math.min(1, Math.abs(cosine)) ** 1.5;
        paint(
          pen,
          tokens.getPropertyValue(cosine < 0 ? "--bad" : "--accent"),
          [edge + x * cell, edge + y * cell, cell - 1, cell - 1],
        );
        pen.globalAlpha = 1;
      }),
    );
    pen.strokeStyle = tokens.getPropertyValue("--ink");
    pen.lineWidth = 2;
    pen.strokeRect(edge + chosen.x * cell, edge + chosen.y * cell, cell - 1, cell - 1);
  }

  /** @param {number} x @param {number} y */
  function choose(x, y) {
    chosen = { x: Math.max(0, Math.min(width - 1, x)), y: Math.max(0, Math.min(height - 1, y)) };
    tell();
    draw();
  }

  function tell() {
    const at = (/** @type {Axis} */ axis, /** @type {number} */ step) => `${axis.name} ${axis.step === "word" ? `word ${step + 1}` : clock(step)}`;
    const isBest = chosen.x === best.x && chosen.y === best.y;
    told.textContent = `${at(rows, chosen.y)} and ${at(columns, chosen.x)}: ${cosines[chosen.y][chosen.x].toFixed(2)}${isBest ? ", best match" : ""}`;
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const shown = box.width / (edge + cell * width); // it may be scaled down to fit
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map(
      (side) => Math.floor((side / shown - edge) / cell),
    );
    if (x >= 0 && y >= 0) choose(x, y);
  });
  canvas.addEventListener("click", () => onChoose(chosen.y, chosen.x));
  canvas.addEventListener("keydown", (event) => {
    const steps = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    });
    const step = steps[event.key];
    if (step) choose(chosen.x + step[0], chosen.y + step[1]);
    else if (event.key === "Enter") onChoose(chosen.y, chosen.x);
    else return;
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  tell();
  draw();
  return h("figure", { class: "heat-figure" }, canvas, h("figcaption", {}, told));
}

/** @param {CanvasRenderingContext2D} pen @param {string} colour @param {[number, number, number, number]} box */
function paint(pen, colour, box) {
  pen.fillStyle = colour;
  pen.fillRect(...box);
}

/** Return the cell of the greatest cosine. @param {number[][]} cosines */
function peak(cosines) {
  let best = { x: 0, y: 0 };
  cosines.forEach((line, y) => line.forEach((cosine, x) => {
    if (cosine > cosines[best.y][best.x]) best = { x, y };
  }));
  return best;
}
