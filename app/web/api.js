/** The service's public calls. Every failure is a Problem, whose message is what the service said. */

/**
 * @typedef {"audio" | "video" | "text"} Modality
 * @typedef {{codes: number[][]}} Stream
 * @typedef {{fingerprint: string, duration_seconds: number | null, streams: Record<Modality, Stream>}} Encoded
 * @typedef {Encoded & {id: string, text: string | null, metadata: Record<string, any>, has_media: boolean,
 *   has_thumbnail: boolean}} Item
 * @typedef {{id: string, modality: Modality, score: number, probability: number | null, best_second: number | null,
 *   curve?: number[], text: string | null, metadata: Record<string, any>, has_media: boolean,
 *   has_thumbnail: boolean}} Hit
 * @typedef {{checkpoint: string, fingerprint: string, code_layers: number[], codebook_sizes: number[],
 *   num_items: number, keeps_media: boolean, takes_jobs: boolean, is_calibrated: boolean, limits: Record<string, number>,
 *   modalities: Record<Modality, unknown>}} Model
 * @typedef {{id: string, state: string, request: {folder: string, manifest: string | null}, total: number | null,
 *   indexed: number, unchanged: number, failed: number, failures: {path: string, detail: string}[],
 *   files_per_second: number | null, seconds_left: number | null, detail: string | null, created: string}} Job
 */

const ROOT = new URL("..", import.meta.url); // where the page is, whatever prefix a proxy has
/** What the service advises -> what the page has for it. @type {[RegExp, string][]} */
const HINTS = [
  [/: GET \/items lists all items/, ": Items shows all of them"],
  [/: GET \/jobs lists all jobs/, ": Jobs shows all of them"],
  [/replace it \(PUT [^)]*\)/, "choose Replace"],
  [/ \(DELETE \/jobs\/\{id\}\)/, ""],
  [/: send it as `Authorization.*/, ": ask the person who runs this server for one"],
  [/ \(srcid keys [^)]*\)/, ""],
];
const COOKIE = "srcid_key"; // read by the service: pictures and players send no other header

/** What the service said was wrong. */
export class Problem extends Error {
  /** @param {{status: number, title: string, detail: string}} told */
  constructor({ status, title, detail }) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.title = title;
  }
}

/** Asks for an API key; resolves to false where none was given. @type {(problem: Problem) => Promise<boolean>} */
let askForKey = async () => false;

/** @param {(problem: Problem) => Promise<boolean>} ask */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** Keep the API key until the browser is closed. @param {string} key */
export function useKey(key) {
  document.cookie = `${COOKIE}=${encodeURIComponent(key)}; path=${ROOT.pathname}; SameSite=Strict`;
}

/** @param {string} path */
export function address(path) {
  return new URL(path, ROOT).href;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{json?: unknown, form?: Record<string, string | Blob | undefined>, signal?: AbortSignal,
 *   seconds?: number}} [options] `seconds`: for which a probe of the server waits
 * @returns {Promise<any>}
 */
async function call(method, path, { json, form, signal, seconds } = {}) {
  /** @type {RequestInit} */
  const request = { method, signal: seconds ? AbortSignal.timeout(1000 * seconds) : signal, headers: { Accept: "application/json" } };
  if (json !== undefined) {
    request.body = JSON.stringify(json);
    request.headers = { ...request.headers, "Content-Type": "application/json" };
  }
  if (form) {
    const data = new FormData();
    for (const [name, value] of Object.entries(form)) if (value !== undefined) data.append(name, value);
    request.body = data;
  }
  let answer;
  try {
    answer = await fetch(address(path), request);
  } catch (error) {
    if (signal?.aborted) throw error;
    if (!seconds) dispatchEvent(new Event("srcid:lost"));
    throw new Problem({
      status: 0,
      title: "No connection",
      detail: "Cannot reach the server. Check that it is running, then try again.",
    });
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = new Problem(await toldBy(answer));
  if (problem.status === 401 && (await askForKey(problem))) return call(method, path, { json, form, signal, seconds });
  throw problem;
}

/** Return a message with the page's words in place of the API's calls and the commands. @param {string} message */
function withButtons(message) {
  return HINTS.reduce((text, [pattern, words]) => text.replace(pattern, words), message);
}

/** @param {Response} answer */
async function toldBy(answer) {
  try {
    const told = await answer.json();
    if (typeof told.detail === "string") return { ...told, detail: withButtons(told.detail) };
  } catch {
    // not from the service itself: a proxy's page
  }
  return { status: answer.status, title: answer.statusText, detail: `The server returned status ${answer.status}.` };
}

/** @type {Map<string, Promise<Item>>} */
const items = new Map();

/** @param {string} id */
const pathOf = (id) => `items/${encodeURIComponent(id)}`;

export const api = {
  /** @returns {Promise<Model>} */
  model: (seconds = 0) => call("GET", "model", { seconds }),
  ready: (seconds = 0) => call("GET", "readyz", { seconds }),

  /** @param {string} text @param {AbortSignal} [signal] @returns {Promise<Encoded>} */
  encodeText: (text, signal) => call("POST", "encode", { json: { text }, signal }),
  /** @param {File} file @param {AbortSignal} [signal] @returns {Promise<Encoded>} */
  encodeFile: (file, signal) => call("POST", "encode", { form: { file }, signal }),

  /** @param {Record<string, unknown>} body @param {AbortSignal} [signal] */
  search: (body, signal) => call("POST", "search", { json: body, signal }),
  /** @param {File} file @param {Record<string, unknown>} options @param {AbortSignal} [signal] */
  searchFile(file, options, signal) {
    const fields = Object.entries(options).map(([name, value]) => [
      name,
      typeof value === "object" ? (name === "targets" ? String(value) : JSON.stringify(value)) : String(value),
    ]);
    return call("POST", "search", { form: { file, ...Object.fromEntries(fields) }, signal });
  },

  /** One item, asked for once. @param {string} id @returns {Promise<Item>} */
  item(id) {
    let known = items.get(id);
    if (!known) {
      known = /** @type {Promise<Item>} */ (call("GET", pathOf(id)));
      items.set(id, known);
      known.catch(() => items.delete(id));
    }
    return known;
  },
  /** @param {string | null} cursor @param {number} limit @returns {Promise<{items: Item[], next_cursor: string | null}>} */
  async items(cursor, limit) {
    const page = await call("GET", `items?limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    for (const item of page.items) items.set(item.id, Promise.resolve(item));
    return page;
  },
  /** @param {string} id @param {{file?: File, text?: string, metadata: Record<string, unknown>, replace: boolean}} what */
  async add(id, { file, text, metadata, replace }) {
    const [method, path] = replace ? ["PUT", pathOf(id)] : ["POST", "items"];
    const own = replace ? {} : { id };
    const sent = file ? {
      form: { file, ...own, metadata: JSON.stringify(metadata) },
    } : { json: { text, ...own, metadata } };
    items.delete(id);
    return call(method, path, sent);
  },
  /** @param {string} id */
  async remove(id) {
    await call("DELETE", pathOf(id));
    items.delete(id);
  },
  /** @param {string} id */
  mediaAddress: (id) => address(`${pathOf(id)}/media`),
  /** @param {string} id */
  thumbnailAddress: (id) => address(`${pathOf(id)}/thumbnail`),

  /** @param {number} layer @param {number} row @param {number} code */
  card: (layer, row, code) => call("GET", `codes/${layer}/${code}?row=${row}`),
  /** @param {unknown} a @param {unknown} b @param {string} layers @param {AbortSignal} [signal] */
  compare: (a, b, layers, signal) => call("POST", "compare", { json: { a, b, layers }, signal }),

  /** @param {Record<string, unknown>} request @returns {Promise<Job>} */
  startJob: (request) => call("POST", "jobs/index", { json: request }),
  /** @returns {Promise<{jobs: Job[]}>} */
  jobs: () => call("GET", "jobs"),
  /** @param {string} id @returns {Promise<Job>} */
  cancelJob: (id) => call("DELETE", `jobs/${encodeURIComponent(id)}`),
  /** @param {string} id @returns {EventSource} */
  watchJob: (id) => new EventSource(address(`jobs/${encodeURIComponent(id)}/events`)),
};
