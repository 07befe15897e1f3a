// The state of the console is its URL: #/tree/apps/web?at=12345&open=/apps,/apps/web

export function parse(hash) {
  const [place, query = ""] = hash.replace(/^#/, "").split("?");
  const parts = place.split("/").filter(Boolean).map(decodeURIComponent);
  const search = new URLSearchParams(query);
  const at = /^[0-9]{1,16}$/.test(search.get("at") || "") ? Number(search.get("at")) : null;
  const open = (search.get("open") || "").split(",").filter((each) => each.startsWith("/"));
  const pick = /^[0-9]{1,18}$/.test(search.get("pick") || "") ? Number(search.get("pick")) : null;
  const only = (search.get("only") || "").split(",").filter((each) => /^[a-z]{1,20}$/.test(each));
  return { screen: parts[0] || "tree", path: "/" + parts.slice(1).join("/"), at, open: new Set(open), pick, only };
}

// `pick`: the instance that is looked at; `only`: the states that are shown.
export function format({ screen, path, at, open, pick = null, only = [] }) {
  const place = path.split("/").map(encodeURIComponent).join("/");
  const search = new URLSearchParams();
  if (at !== null) search.set("at", String(at));
  if (open.size) search.set("open", [...open].sort().join(","));
  if (pick !== null) search.set("pick", String(pick));
  if (only.length) search.set("only", only.join(","));
  const query = search.toString();
  return `#/${screen}${place === "/" ? "" : place}${query ? "?" + query : ""}`;
}

export function go(change) {
  location.hash = format({ ...parse(location.hash), ...change });
}

export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);
export const join = (directory, entry) => (directory === "/" ? "/" + entry : `${directory}/${entry}`);

// A file in the tree, with all above it open.
export const fileAt = (path, at) => {
  const parts = path.split("/").filter(Boolean);
  const open = parts.slice(0, -1).map((_, place) => "/" + parts.slice(0, place + 1).join("/"));
  return format({ screen: "tree", path, at, open: new Set(open) });
};
