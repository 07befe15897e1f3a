// The API as functions. A problem is an error that carries what the gateway said.
import { proof } from "./session.js";

export class Problem extends Error {
  constructor(told) {
    super(told.detail || told.title || "something went wrong");
    this.told = told;
  }
}

const spelled = (path) => path.split("/").map(encodeURIComponent).join("/");
export const url = (kind, path, query = {}) => {
  const search = Object.entries(query)
    .flatMap(([name, value]) => [value ?? []].flat().map((each) => `${name}=${encodeURIComponent(each)}`))
    .join("&");
  return `/v1/${kind}${path === null ? "" : spelled(path)}${search ? "?" + search : ""}`;
};

export async function ask(where, options = {}) {
  const headers = { Accept: "application/json", ...proof(), ...options.headers };
  let answer;
  try {
    answer = await fetch(where, { ...options, headers, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0, code: "away", detail: "The gateway does not answer." });
  }
  if (!answer.ok) {
    let told;
    try { told = await answer.json(); } catch { told = { status: answer.status, title: answer.statusText }; }
    throw new Problem(told);
  }
  return answer;
}

export const read = async (where, options) => (await ask(where, options)).json();

export const post = (where, body, signal) =>
  read(where, { method: "POST", signal, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

// A link could not say who asks.
export async function download(where, name) {
  const answer = await ask(where, { headers: { Accept: "application/octet-stream" } });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// An answer for a rev never changes: the browser keeps it, and the last ones are kept here, read and parsed.
const MOST = 400;
const kept = new Map();
let anew = false;

export async function steady(where) {
  let found = kept.get(where);
  if (found === undefined) {
    found = read(where, anew ? { cache: "reload" } : {});
    kept.set(where, found);
    found.catch(() => kept.delete(where));
    if (kept.size > MOST) kept.delete(kept.keys().next().value);
  }
  return found;
}

// Another cluster answers, as after a restore: its revs may mean something else than what was kept.
export function forget() {
  kept.clear();
  anew = true;
}
