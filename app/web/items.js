/** The items view: what is in the index, and adding to it. */

import { addForm } from "./add_form.js";
import { api } from "./api.js";
import { announce, clock, count, fill, h, toast } from "./dom.js";
import { onDrop } from "./drop.js";
import { itemPlayer } from "./player.js";
import { problemNote } from "./problem.js";
import { nameOf } from "./results.js";
import { href } from "./router.js";
import { stripLegend, timeline } from "./timeline.js";

/** @typedef {import("./api.js").Item} Item */

const PAGE = 24;

/** Show the view. @param {Element} main */
export function showItems(main) {
  const list = h("ul", { class: "items", "aria-label": "Items" });
  const more = h("button", { type: "button", hidden: true, onclick: () => load(false) }, "Show more");
  const empty = h(
    "div",
    { class: "empty", hidden: true },
    h("h2", {}, "The index is empty"),
    h("p", {}, "Drop files here, or add a sentence above."),
  );
  const form = addForm({
    onAdded: (item) => {
      [...list.children].find((row) => row.getAttribute("data-id") === item.id)?.remove();
      list.prepend(row(item, list));
      empty.hidden = true;
      dispatchEvent(new Event("srcid:items"));
    },
  });
  onDrop("Drop files to add them to the index", form.take);
  fill(main, h("h1", {}, "Items"), form.element, stripLegend(), list, empty, more);
  /** @type {string | null} */
  let cursor = null;

  async function load(/** @type {boolean} */ isFirst) {
    if (isFirst) fill(
      list,
      Array.from(
        { length: 4 },
        () => h(
          "li",
          { class: "item skeleton", "aria-hidden": "true" },
          h("div", { class: "media" }),
          h("div", { class: "bone" }),
        ),
      ),
    );
    list.setAttribute("aria-busy", "true");
    try {
      const page = await api.items(cursor, PAGE);
      if (isFirst) fill(list);
      list.append(...page.items.map((item) => row(item, list)));
      cursor = page.next_cursor;
      more.hidden = !cursor;
      empty.hidden = list.children.length > 0;
      announce(`${count(list.children.length, "item")} shown`);
    } catch (error) {
      fill(list, h("li", {}, problemNote(error)));
    }
    list.removeAttribute("aria-busy");
  }
  load(true);
}

/** @param {Item} item @param {HTMLElement} list */
function row(item, list) {
  const name = nameOf(item);
  const line = timeline(item.streams, { text: item.text });
  const player = itemPlayer(item, { name, onTime: line.mark });
  const { title: _, ...rest } = item.metadata;
  const element = h(
    "li",
    { class: "item", "data-id": item.id },
    item.text === null ? player.element : null,
    h(
      "div",
      { class: "item-body" },
      h(
        "header",
        {},
        h("h2", {}, name),
        h(
          "p",
          { class: "soft" },
          name === item.id ? null : h("span", { class: "mono" }, item.id, " · "),
          kindOf(item),
        ),
      ),
      Object.keys(rest).length ? h(
        "dl",
        { class: "metadata" },
        Object.entries(rest).map(
          ([key, value]) => h(
            "div",
            {},
            h("dt", {}, key),
            h("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
          ),
        ),
      ) : null,
      line.element,
      h(
        "div",
        { class: "actions" },
        h("a", { class: "button small", href: href({ like: item.id }) }, "More like this"),
        h("a", { class: "button small", href: href({ view: "compare", a: `item:${item.id}` }) }, "Compare"),
        h(
          "button",
          { type: "button", class: "small danger", onclick: () => confirmDelete(item.id, () => gone(element, list)) },
          "Delete",
        ),
      ),
    ),
  );
  return element;
}

/** @param {HTMLElement} element @param {HTMLElement} list */
function gone(element, list) {
  const next = /** @type {HTMLElement | null} */ ((element.nextElementSibling ?? list.previousElementSibling)?.querySelector("button, input"));
  element.remove();
  next?.focus(); // else the keyboard begins at the top again
  dispatchEvent(new Event("srcid:items"));
}

/** @param {Item} item */
function kindOf(item) {
  if (item.text !== null) return "sentence";
  if (item.duration_seconds === null) return "picture";
  const kind = item.streams.video ? (item.streams.audio ? "clip" : "silent clip") : "sound";
  return `${kind} of ${clock(item.duration_seconds)}`;
}

/** @param {string} id @param {() => void} onDeleted */
function confirmDelete(id, onDeleted) {
  const dialog = h(
    "dialog",
    { class: "ask", "aria-labelledby": "delete-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "delete-title" }, "Delete this item?"),
      h("p", {}, h("b", {}, id), " will be removed from the index, and its stored media deleted."),
      h(
        "div",
        { class: "actions" },
        h("button", { class: "danger", value: "delete" }, "Delete"),
        h("button", { value: "", autofocus: true }, "Cancel"),
      ),
    ),
  );
  dialog.addEventListener("close", async () => {
    dialog.remove();
    if (dialog.returnValue !== "delete") return;
    try {
      await api.remove(id);
      toast(`Deleted ${id}`);
      onDeleted();
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), "bad");
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}
