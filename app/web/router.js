/** What the page shows is in its address, so that it can be linked and the back button works. */

/** @typedef {{view: string, params: URLSearchParams, state: any}} Place */

/** @type {(place: Place) => void} */
let show = () => {};

/** @returns {Place} */
export function here() {
  const params = new URLSearchParams(location.search);
  return { view: params.get("view") ?? "search", params, state: history.state };
}

/**
 * Go to a place of the page.
 * @param {Record<string, string | string[] | number | null | undefined>} params empty ones are left out
 * @param {{state?: unknown, replace?: boolean}} [options]
 */
export function go(params, { state = null, replace = false } = {}) {
  const url = href(params);
  if (replace) history.replaceState(state, "", url);
  else history.pushState(state, "", url);
  show(here());
  scrollTo(0, 0);
}

/** Return the address of a place. @param {Record<string, string | string[] | number | null | undefined>} params */
export function href(params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  return `?${query}`;
}

/** Change a part of the address, without showing anything anew. @param {string} name @param {string | null} value */
export function note(name, value) {
  const params = new URLSearchParams(location.search);
  if (value === null) params.delete(name);
  else params.set(name, value);
  history.replaceState(history.state, "", `?${params}`);
}

/** @param {(place: Place) => void} shower */
export function start(shower) {
  show = shower;
  addEventListener("popstate", () => show(here()));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='?']") : null;
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    show(here());
    scrollTo(0, 0);
  });
  show(here());
}
