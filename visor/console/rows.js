// Which row lies where: directories that are open, laid out without looking at rows that nobody sees. Pure.
//
//     /apps      3 entries, "web" (the second) is open       place 0  apps     (of /, rank 0)
//     /apps/web  2 entries                                          1  db       (of /apps, rank 0)
//                                                                   2  web      (of /apps, rank 1)
//                                                                   3  config   (of /apps/web, rank 0)    ...
import { join, name, parent } from "./route.js";

// A directory as far as it is known at one moment: how many entries, the rows that were read, and which entry is where.
export class Directory {
  constructor({ total, places, place, items }, rows) {
    this.total = total;
    this.ranks = new Map(Object.entries(places));
    this.rows = new Map(rows);
    items.forEach((row, offset) => this.rows.set(place + offset, row));
    this.rows.forEach((row, rank) => this.ranks.set(row.name, rank));
  }

  guess(entry, rank) {
    if (rank < 0 || this.ranks.has(entry)) return;
    this.ranks.set(entry, rank);
    this.guessed = entry;
  }

  rankOf(entry) {
    const rank = this.ranks.get(entry);
    return rank === undefined || rank >= this.total ? -1 : rank;
  }
}

// Return the directories that are shown as nodes: {path, level, total, size, kids: [{rank, node}]}; `size` is rows in all.
export function layout(directories, open) {
  const below = new Map();
  for (const path of open) {
    if (path === "/") continue;
    const above = parent(path);
    below.set(above, [...(below.get(above) ?? []), path]);
  }
  const make = (path, level) => {
    const found = directories.get(path);
    const total = found ? found.total : 0;
    const kids = found ? (below.get(path) ?? [])
      .map((kid) => ({ rank: found.rankOf(name(kid)), path: kid }))
      .filter((kid) => kid.rank >= 0)
      .sort((one, other) => one.rank - other.rank)
      .map((kid) => ({ rank: kid.rank, node: make(kid.path, level + 1) })) : [];
    return { path, level, total, kids, size: total + kids.reduce((sum, kid) => sum + kid.node.size, 0) };
  };
  return make("/", 1);
}

// Yield {dir, rank, level, place} of the rows from `first` up to `last`.
export function* slots(node, first, last, base = 0) {
  let place = base, rank = 0;
  for (const kid of [...node.kids, { rank: node.total - 1, node: null }]) {
    const count = kid.rank - rank + 1;
    for (let i = Math.max(0, first - place); i < Math.min(count, last - place); i++)
      yield { dir: node.path, rank: rank + i, level: node.level, place: place + i };
    place += count;
    rank = kid.rank + 1;
    if (kid.node === null) continue;
    if (place < last && place + kid.node.size > first) yield* slots(kid.node, first, last, place);
    place += kid.node.size;
  }
}

// The place of an entry; -1 where that is not known, or it is not there.
export function placeOf(node, directories, path, base = 0) {
  const dir = directories.get(node.path);
  if (!dir || path === "/") return -1;
  const rest = node.path === "/" ? path.slice(1) : path.slice(node.path.length + 1);
  const entry = rest.split("/")[0];
  const rank = dir.rankOf(entry);
  if (rank < 0) return -1;
  let place = base + rank, inside = null;
  for (const kid of node.kids) {
    if (kid.rank < rank) place += kid.node.size;
    if (kid.rank === rank) inside = kid.node;
  }
  if (rest === entry) return place;
  return inside ? placeOf(inside, directories, path, place + 1) : -1;
}

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

export const full = (slot, row) => join(slot.dir, row.name);
