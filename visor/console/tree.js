// The tree: a treegrid of which only the rows are read, and drawn, that can be seen.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";
import { steady, url } from "./api.js";
import { html } from "./html.js";
import { rowOf } from "./moment.js";
import { current, go, join, name, parent, toggled } from "./route.js";
import { bytes, counted } from "./words.js";

const HEIGHT = 30;
const BEYOND = 8;
const TALLEST = 8_000_000; // pixels that any browser scrolls; above that, a pixel of the bar is several rows
const TYPING = 800;

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
    const row = tree.rows.get(place) ?? (await steady(url("moment", null, { at: rev, open: tree.open.slice(1), first: place, rows: 1 }))).rows[0];
    return row ? { ...row, full: row.path } : null;
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

const down = (row) => `translateY(${row * HEIGHT}px)`;

function Row({ row, route, fresh, here }) {
  const { path, level, kind, size, mod_rev: rev } = row;
  const directory = kind === "directory";
  const classes = ["row", here && "here", fresh && (rev % 2 ? "fresh" : "fresh again")].filter(Boolean).join(" ");
  const click = () => go(directory ? { path, open: toggled(route.open, path) } : { path });
  return html`
    <div id=${"row-" + row.row} role="row" class=${classes} aria-level=${level} aria-rowindex=${row.row + 1} aria-posinset=${row.place + 1}
         aria-setsize=${row.of} aria-selected=${here} aria-expanded=${directory ? route.open.has(path) : null}
         style=${{ transform: down(row.row), paddingLeft: level * 18 - 6 + "px" }} onClick=${click}>
      <span role="gridcell" class="name"><span class=${directory ? "mark dir" : "mark"} aria-hidden="true"></span>${row.name}${directory ? html`<span class="slash">/</span>` : ""}</span>
      <span role="gridcell" class="size">${directory ? counted(size, "entry", "entries") : bytes(size)}</span>
      <span role="gridcell" class="rev">${rev || ""}</span>
    </div>`;
}

export function Tree({ moment, route, look, shortcuts }) {
  const frame = useRef(null), steps = useRef(null), told = useRef("");
  const [, redraw] = useState(0);
  steps.current ??= new Steps(moment);
  const tree = moment.shown?.tree;
  const size = tree?.size ?? 0;
  const here = tree ? rowOf(tree, route.path) : -1;
  const { tall, shift, first, last } = seen(frame.current, size);

  const view = () => {
    const now = seen(frame.current, moment.shown?.tree.size ?? 0);
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
    const route = current(), here = rowOf(tree, route.path); // what the last key did may not be drawn yet
    const directory = tree.rows.get(here)?.kind === "directory", open = route.open.has(route.path);
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

  const places = tree ? Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index) : [];
  return html`
    <div class="tree" role="treegrid" aria-label="Files" aria-rowcount=${size} aria-colcount="3" tabindex="0" ref=${frame} data-rev=${moment.shown?.rev}
         aria-activedescendant=${here >= first && here < last ? "row-" + here : null} onScroll=${view} onKeyDown=${onKey}>
      <div class="space" role="rowgroup" style=${{ height: tall + "px" }}><div class="rows" role="presentation" style=${{ transform: `translateY(${shift}px)` }}>
        ${places.map((place) => {
          const row = tree.rows.get(place);
          return row ? html`<${Row} key=${row.path} row=${row} route=${route} here=${place === here} fresh=${moment.fresh(row.path)} />`
            : html`<div key=${place} class="row unread" aria-hidden="true" style=${{ transform: down(place), paddingLeft: "30px" }}><i></i></div>`;
        })}
      </div></div>
    </div>`;
}

// Keys that mean something everywhere: with them a name cannot be begun, unless they are switched off.
const taken = (key) => "?/,.lycdgjk[] ".includes(key);
