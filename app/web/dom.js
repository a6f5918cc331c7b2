/** Elements, and small habits of them. Text is always set as text, never as markup. */

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * Return a new element.
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `style` (an object), `on…` listeners; others are attributes
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "style") setStyle(element, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

/** Put `children` in the place of what an element holds. @param {Element} element @param {...Child} children */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** @param {HTMLElement} element @param {Record<string, string | number>} style */
function setStyle(element, style) {
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, String(value));
}

const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm5 11.5L20 20",
  play: "M8 5.5v13l10.5-6.5Z",
  clip: "M12 16V5m-4 4 4-4 4 4M5 16v3h14v-3",
  close: "M6 6l12 12M18 6 6 18",
  more: "M6 12h12M12 6v12",
  heard: "M5 10v4h3l4 3V7l-4 3Zm10-1.5a5 5 0 0 1 0 7m2.5-9.5a8.5 8.5 0 0 1 0 12",
  seen: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6Zm9-2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  words: "M5 7h14M5 12h14M5 17h8",
};

/** Return a line drawing. @param {keyof typeof ICONS} name */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Say beside a field why its form cannot be sent. @param {HTMLInputElement | HTMLTextAreaElement} field @param {string} why */
export function complain(field, why) {
  field.setCustomValidity(why);
  field.reportValidity();
  field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
}

/** Say something to screen readers. @param {string} text */
export function announce(text) {
  const place = document.getElementById("announce");
  if (place) place.textContent = text;
}

/** Show a sentence for some seconds. @param {string} text @param {"good" | "bad"} kind */
export function toast(text, kind = "good") {
  const note = h("div", { class: `toast ${kind}` }, text);
  note.append(h("button", { class: "quiet", "aria-label": "Dismiss", onclick: () => note.remove() }, icon("close")));
  document.getElementById("toasts")?.append(note);
  if (kind === "good") setTimeout(() => note.remove(), 5000);
}

/**
 * Make a group one stop of the Tab key, within which the arrow keys move.
 * @param {HTMLElement} group
 * @param {string} selector of what can be moved to
 * @param {(element: HTMLElement) => number} [columns] how many there are in a row; all in one by default
 */
export function roving(group, selector, columns) {
  const all = () => /** @type {HTMLElement[]} */ ([...group.querySelectorAll(selector)]);
  const settle = (/** @type {HTMLElement} */ chosen) => {
    for (const element of all()) element.tabIndex = element === chosen ? 0 : -1;
  };
  const first = all()[0];
  if (first) settle(first);
  group.addEventListener("focusin", (event) => {
    if (event.target instanceof HTMLElement && event.target.matches(selector)) settle(event.target);
  });
  group.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLElement) || !event.target.matches(selector)) return;
    const elements = all();
    const width = columns ? columns(event.target) : elements.length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns ? width : 1, ArrowUp: columns ? -width : -1 };
    const here = elements.indexOf(event.target);
    let next = here + (steps[/** @type {keyof typeof steps} */ (event.key)] ?? 0);
    if (event.key === "Home") next = 0;
    if (event.key === "End") next = elements.length - 1;
    if (next === here || !elements[next]) return;
    event.preventDefault();
    elements[next].focus();
  });
}

/** Return `1:05` for 65 seconds. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Return "1 item", "2 items". @param {number} number @param {string} word */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}
