// The state of the console is its URL: #/tree/apps/web?at=12345&diff=12000&open=/apps,/apps/web&q=/apps/**
import { useEffect, useState } from "./vendor/hooks.mjs";

const SETTLED = 250;

const whole = (text) => (/^[0-9]{1,16}$/.test(text || "") ? Number(text) : null);

function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

export function parse(hash) {
  const [place, query = ""] = hash.replace(/^#/, "").split("?");
  const parts = place.split("/").filter(Boolean).map(decoded);
  const search = new URLSearchParams(query);
  const only = (search.get("only") || "").split(",").filter((each) => /^[a-z]{1,20}$/.test(each));
  const open = (search.get("open") || "").split(",").filter((each) => each.startsWith("/"));
  return {
    screen: parts[0] || "tree", path: "/" + parts.slice(1).join("/"), at: whole(search.get("at")), diff: whole(search.get("diff")),
    q: search.get("q") || "", open: new Set(open), pick: whole(search.get("pick")), only,
  };
}

// `diff`: a second moment; `q`: what is looked for; `pick`: the instance that is looked at; `only`: the states that are shown.
export function format({ screen, path, at, open, diff = null, q = "", pick = null, only = [] }) {
  const place = path.split("/").map(encodeURIComponent).join("/");
  const search = new URLSearchParams();
  if (at !== null) search.set("at", String(at));
  if (diff !== null) search.set("diff", String(diff));
  if (q) search.set("q", q);
  if (pick !== null) search.set("pick", String(pick));
  if (only.length) search.set("only", only.join(","));
  if (open.size) search.set("open", [...open].sort().join(","));
  const query = search.toString();
  return `#/${screen}${place === "/" ? "" : place}${query ? "?" + query : ""}`;
}

let now = parse(location.hash);
let settling = null;
const listeners = new Set();

function set(route) {
  now = route;
  listeners.forEach((each) => each(route));
}

addEventListener("hashchange", () => {
  clearTimeout(settling);
  settling = null;
  set(parse(location.hash));
});

// Show something else. `quick`, as dragging is: many steps are one entry of the browser's history, written when they have settled,
// because a browser takes only so many a second.
export function go(change, { quick = false } = {}) {
  const route = { ...now, quick, ...change };
  const first = settling === null;
  clearTimeout(settling);
  settling = quick ? setTimeout(() => { settling = null; history.replaceState(null, "", format(now)); }, SETTLED) : null;
  if (!quick && !first) history.replaceState(null, "", format(now));
  if (!quick || first) history.pushState(null, "", format(route));
  set(route);
}

// For keys: the next one may come before what the last one did is drawn.
export const current = () => now;

export function useRoute() {
  const [route, setRoute] = useState(now);
  useEffect(() => {
    listeners.add(setRoute);
    setRoute(now);
    return () => listeners.delete(setRoute);
  }, []);
  return route;
}

export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);
export const join = (directory, entry) => (directory === "/" ? "/" + entry : `${directory}/${entry}`);

// What has to be open for a path to be seen.
export function above(path) {
  const parts = path.split("/").filter(Boolean).slice(0, -1);
  return parts.map((_, place) => "/" + parts.slice(0, place + 1).join("/"));
}

// A file in the tree, with all above it open.
export const fileAt = (path, at) => format({ screen: "tree", path, at, open: new Set(above(path)) });

const MOST_OPEN = 48; // beside the root: as many as one request takes
const MOST_SIGNS = 4500;

// Open directories all of whose parents are open as well, the root first.
export function visible(open) {
  const found = ["/"];
  let room = MOST_SIGNS;
  for (const path of [...open].sort()) {
    if (path === "/" || !found.includes(parent(path))) continue;
    room -= encodeURIComponent(path).length + 6;
    if (room < 0 || found.length > MOST_OPEN) break;
    found.push(path);
  }
  return found;
}

// Open one, or close it. Where too many are open, those go that were opened first and have no open one in them.
export function toggled(open, path) {
  const next = new Set(open);
  if (!next.delete(path)) next.add(path);
  for (const each of next)
    if (next.size > MOST_OPEN && each !== path && ![...next].some((other) => other.startsWith(each + "/"))) next.delete(each);
  return next;
}
