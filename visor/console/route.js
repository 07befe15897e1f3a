// The state of the console is its URL: #/tree/apps/web?at=12345&open=/apps,/apps/web

export function parse(hash) {
  const [place, query = ""] = hash.replace(/^#/, "").split("?");
  const parts = place.split("/").filter(Boolean).map(decodeURIComponent);
  const search = new URLSearchParams(query);
  const at = /^[0-9]{1,16}$/.test(search.get("at") || "") ? Number(search.get("at")) : null;
  const open = (search.get("open") || "").split(",").filter((each) => each.startsWith("/"));
  return { screen: parts[0] || "tree", path: "/" + parts.slice(1).join("/"), at, open: new Set(open) };
}

export function format({ screen, path, at, open }) {
  const place = path.split("/").map(encodeURIComponent).join("/");
  const search = new URLSearchParams();
  if (at !== null) search.set("at", String(at));
  if (open.size) search.set("open", [...open].sort().join(","));
  const query = search.toString();
  return `#/${screen}${place === "/" ? "" : place}${query ? "?" + query : ""}`;
}

export function go(change) {
  location.hash = format({ ...parse(location.hash), ...change });
}

export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);
export const join = (directory, entry) => (directory === "/" ? "/" + entry : `${directory}/${entry}`);
