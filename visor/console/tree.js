// The tree: a treegrid of which only the rows are read, and drawn, that can be seen.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";
import { steady, url } from "./api.js";
import { html } from "./html.js";
import { placeOf, slots, toggled } from "./rows.js";
import { above, current, go, join, name, parent } from "./route.js";

const HEIGHT = 30;
const BEYOND = 8;
const TALLEST = 8_000_000; // pixels that any browser scrolls; above that, a pixel of the bar is several rows
const TYPING = 800;

const bytes = (size) => (size < 10_000 ? `${size} B` : size < 10_000_000 ? `${Math.round(size / 1024)} kB` : `${Math.round(size / 1048576)} MB`);

export const firstView = () => ({ first: 0, last: Math.ceil(innerHeight / HEIGHT) + BEYOND });

// The rows that a box shows: {top, height} in pixels, the factor by which the bar is shorter, and first and last row.
function seen(box, size) {
  const whole = size * HEIGHT, tall = Math.min(whole, TALLEST);
  const height = box?.clientHeight || 600, room = Math.max(1, tall - height);
  const top = Math.min(box?.scrollTop ?? 0, room);
  const exact = tall === whole ? top : (top / room) * (whole - height);
  const first = Math.max(0, Math.floor(exact / HEIGHT) - BEYOND);
  return { tall, shift: top - exact, first, last: Math.min(size, Math.ceil((exact + height) / HEIGHT) + BEYOND) };
}

function scrollTo(box, place, size, force) {
  if (!box || place < 0) return;
  const whole = size * HEIGHT, tall = Math.min(whole, TALLEST), height = box.clientHeight;
  const scale = tall === whole ? 1 : (tall - height) / (whole - height);
  const exact = box.scrollTop / scale, wanted = place * HEIGHT;
  if (wanted < exact) box.scrollTop = (force ? wanted - height / 3 : wanted) * scale;
  else if (wanted > exact + height - HEIGHT) box.scrollTop = (force ? wanted - height / 3 : wanted - height + HEIGHT) * scale;
}

// The keys of a treegrid, on rows of which only some are there: what is missing is read first.
class Steps {
  constructor(moment) {
    this.moment = moment;
    this.typed = "";
    this.asked = 0; // answers may come in another order than keys did: the last key's is the one that counts
  }

  async row(place) {
    const { tree, rev } = this.moment.shown;
    const slot = [...slots(tree.node, place, place + 1)][0];
    if (!slot) return null;
    const row = tree.dirs.get(slot.dir).rows.get(slot.rank)
      ?? (await steady(url("tree", slot.dir, { at: rev, skip: slot.rank, limit: 1 }))).items[0];
    return row ? { ...row, full: join(slot.dir, row.name) } : null;
  }

  async to(place) {
    const key = ++this.asked;
    const row = await this.row(place).catch(() => null);
    if (row && key === this.asked) go({ path: row.full }, { quick: true });
  }

  // Type-ahead: the first entry that begins so in the selected directory, if it is open; else the next one beside, and around.
  async type(key) {
    const asked = ++this.asked;
    clearTimeout(this.timer);
    this.typed += key;
    this.timer = setTimeout(() => { this.typed = ""; }, TYPING);
    const { rev } = this.moment.shown, { path, open } = current(), typed = this.typed;
    const ask = async (dir, begin) => (await steady(url("tree", dir, { at: rev, begin, limit: 2 }))).items
      .map((each) => join(dir, each.name)).filter((each) => name(each).startsWith(typed));
    let found = path === "/" || open.has(path) ? await ask(path, typed).catch(() => []) : [];
    if (!found.length && typed.length === 1 && name(path).startsWith(typed)) found = (await ask(parent(path), name(path))).filter((each) => each !== path);
    if (!found.length) found = await ask(parent(path), typed);
    if (found.length && asked === this.asked) go({ path: found[0] }, { quick: true });
  }
}

function Row({ slot, row, route, fresh, size, open, here, latest }) {
  const path = join(slot.dir, row.name);
  const directory = row.kind === "directory";
  const classes = ["row", here && "here", fresh && (row.mod_rev % 2 ? "fresh" : "fresh again")].filter(Boolean).join(" ");
  const click = () => go(directory ? { path, open: toggled(route.open, path) } : { path });
  return html`
    <div id=${"row-" + slot.place} role="row" class=${classes} aria-level=${slot.level} aria-rowindex=${slot.place + 1} aria-posinset=${slot.rank + 1}
         aria-setsize=${size} aria-selected=${here} aria-expanded=${directory ? open : null}
         style=${{ transform: `translateY(${slot.place * HEIGHT}px)`, paddingLeft: slot.level * 18 - 6 + "px" }} onClick=${click}>
      <span role="gridcell" class="name"><span class=${directory ? "mark dir" : "mark"} aria-hidden="true"></span>${row.name}${directory ? html`<span class="slash">/</span>` : ""}</span>
      <span role="gridcell" class="size">${directory ? `${row.size} ${row.size === 1 ? "entry" : "entries"}` : bytes(row.size)}</span>
      <span role="gridcell" class="rev">${row.mod_rev}</span>
    </div>`;
}

export function Tree({ moment, route, look, shortcuts }) {
  const frame = useRef(null), steps = useRef(null), told = useRef("");
  const [, redraw] = useState(0);
  steps.current ??= new Steps(moment);
  const tree = moment.shown?.tree;
  const size = tree?.node.size ?? 0;
  const here = tree ? placeOf(tree.node, tree.dirs, route.path) : -1;
  const { tall, shift, first, last } = seen(frame.current, size);

  const view = () => {
    const now = seen(frame.current, moment.shown?.tree.node.size ?? 0);
    redraw((number) => number + 1);
    look({ first: now.first, last: Math.max(now.last, firstView().last) });
  };
  useLayoutEffect(() => {
    addEventListener("resize", view);
    return () => removeEventListener("resize", view);
  }, []);
  useLayoutEffect(() => { // what is selected comes into sight, once it is known where it is
    if (here < 0 || told.current === route.path) return;
    scrollTo(frame.current, here, size, told.current === "");
    told.current = route.path;
  });

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !tree) return;
    const route = current(), here = placeOf(tree.node, tree.dirs, route.path); // what the last key did may not be drawn yet
    const row = here < 0 ? null : [...slots(tree.node, here, here + 1)][0];
    const entry = row && tree.dirs.get(row.dir).rows.get(row.rank);
    const directory = entry?.kind === "directory", open = route.open.has(route.path);
    const page = Math.max(1, Math.floor((frame.current.clientHeight ?? 300) / HEIGHT) - 1);
    const moves = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: size - 1, PageDown: here + page, PageUp: here - page };
    if (shortcuts) Object.assign(moves, { j: here + 1, k: here - 1 });
    const typing = steps.current.typed !== "";
    if (event.key in moves && !(typing && event.key.length === 1)) steps.current.to(Math.min(size - 1, Math.max(0, moves[event.key])));
    else if (event.key === "ArrowRight" && directory && !open) go({ open: toggled(route.open, route.path) });
    else if (event.key === "ArrowRight" && directory) steps.current.to(here + 1);
    else if (event.key === "ArrowLeft" && directory && open) go({ open: toggled(route.open, route.path) });
    else if (event.key === "ArrowLeft" && route.path !== "/") go({ path: parent(route.path) });
    else if (event.key === "Enter" && directory) go({ open: toggled(route.open, route.path) });
    else if (event.key.length === 1 && event.key !== " " && (typing || !shortcuts || !taken(event.key))) steps.current.type(event.key).catch(() => {});
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const rows = tree ? [...slots(tree.node, first, last)] : [];
  return html`
    <div class="tree" role="treegrid" aria-label="Files" aria-rowcount=${size} aria-colcount="3" tabindex="0" ref=${frame} data-rev=${moment.shown?.rev}
         aria-activedescendant=${here >= first && here < last ? "row-" + here : null} onScroll=${view} onKeyDown=${onKey}>
      <div class="space" role="rowgroup" style=${{ height: tall + "px" }}><div class="rows" role="presentation" style=${{ transform: `translateY(${shift}px)` }}>
        ${rows.map((slot) => {
          const row = tree.dirs.get(slot.dir)?.rows.get(slot.rank);
          const path = row ? join(slot.dir, row.name) : null;
          return row ? html`<${Row} key=${path} slot=${slot} row=${row} route=${route} here=${path === route.path} size=${tree.dirs.get(slot.dir).total}
                fresh=${moment.fresh(path)} open=${route.open.has(path)} />`
            : html`<div key=${slot.place} class="row unread" aria-hidden="true" style=${{ transform: `translateY(${slot.place * HEIGHT}px)`, paddingLeft: slot.level * 18 + 12 + "px" }}><i></i></div>`;
        })}
      </div></div>
    </div>`;
}

// Keys that mean something everywhere: with them a name cannot be begun, unless they are switched off.
const taken = (key) => "?/,.lycdgjk[] ".includes(key);

export { above, bytes };
