// The API as functions. A token is kept in memory only; a problem is an error that carries what the gateway said.
let token = null;

export const signIn = (text) => { token = text || null; };

export class Problem extends Error {
  constructor(told) {
    super(told.detail || told.title || "something went wrong");
    this.told = told;
  }
}

const spelled = (path) => path.split("/").map(encodeURIComponent).join("/");
export const url = (kind, path, query = {}) => {
  const search = Object.entries(query)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");
  return `/v1/${kind}${path === null ? "" : spelled(path)}${search ? "?" + search : ""}`;
};

export async function ask(where, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
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

// All entries of a directory, page by page, at one rev.
export async function entries(path, at, signal) {
  const found = [];
  let where = url("tree", path, { at, limit: 1000 });
  for (;;) {
    const page = await read(where, { signal });
    found.push(...page.items);
    if (!page.next) return { rev: page.rev, items: found };
    where = url("tree", path, { cursor: page.next, limit: 1000 });
  }
}
