// The tree: directories that are open, flattened into rows, of which only those are drawn that can be seen.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";
import { entries } from "./api.js";
import { html } from "./html.js";
import { go, join, parent } from "./route.js";

const HEIGHT = 30;
const BEYOND = 12;

// Directory -> its entries, all at `at` (null: the latest); read when they are first looked at.
export class Directories {
  constructor(changed) {
    this.changed = changed;
    this.known = new Map();
    this.flashes = new Map();
    this.at = null;
    this.turn = 0;
  }

  move(at) {
    if (at === this.at) return;
    this.at = at;
    this.turn++;
    const wanted = [...this.known.keys()];
    this.stale = this.known;
    this.known = new Map();
    wanted.forEach((path) => this.read(path));
  }

  list(path) {
    if (!this.known.has(path)) this.read(path);
    return this.known.get(path)?.items ?? this.stale?.get(path)?.items ?? [];
  }

  problem(path) {
    return this.known.get(path)?.problem;
  }

  async read(path) {
    const turn = this.turn;
    this.known.set(path, { ...(this.known.get(path) ?? {}), reading: true });
    let found;
    try {
      found = await entries(path, this.at);
    } catch (error) {
      const gone = error.told?.status === 404;
      found = { items: [], problem: gone ? null : error.message };
    }
    if (turn !== this.turn) return; // of another moment: thrown away
    this.known.set(path, found);
    this.changed();
  }

  // Something changed: read again what is shown of it, and remember what to flash.
  touch(changes) {
    const dirty = new Set();
    for (const { path } of changes) {
      this.flashes.set(path, Date.now());
      for (let above = parent(path); ; above = parent(above)) {
        if (this.known.has(above)) dirty.add(above);
        if (above === "/") break;
        this.flashes.set(above, Date.now());
      }
    }
    if (this.flashes.size > 5000) this.flashes.clear();
    dirty.forEach((path) => this.read(path));
  }

  again() {
    [...this.known.keys()].forEach((path) => this.read(path));
  }

  fresh(path) {
    return Date.now() - (this.flashes.get(path) ?? 0) < 1200;
  }
}

export function rowsOf(directories, open) {
  const rows = [];
  const walk = (path, level) => {
    for (const entry of directories.list(path)) {
      const full = join(path, entry.name);
      const isOpen = entry.kind === "directory" && open.has(full);
      rows.push({ ...entry, full, level, isOpen });
      if (isOpen) walk(full, level + 1);
    }
  };
  walk("/", 1);
  return rows;
}

export function Tree({ directories, route, version }) {
  const rows = rowsOf(directories, route.open);
  const frame = useRef(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const here = Math.max(0, rows.findIndex((row) => row.full === route.path));

  useLayoutEffect(() => {
    const measure = () => setHeight(frame.current?.clientHeight ?? 600);
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);

  useEffect(() => {
    const box = frame.current;
    const place = here * HEIGHT;
    if (box && (place < box.scrollTop || place > box.scrollTop + box.clientHeight - HEIGHT))
      box.scrollTop = place - box.clientHeight / 2;
  }, [route.path]);

  const first = Math.max(0, Math.floor(top / HEIGHT) - BEYOND);
  const shown = rows.slice(first, first + Math.ceil(height / HEIGHT) + 2 * BEYOND);

  const toggle = (row) => {
    const open = new Set(route.open);
    if (!open.delete(row.full)) open.add(row.full);
    go({ open, path: row.full });
  };
  const onKey = (event) => {
    const row = rows[here];
    const moves = { ArrowDown: here + 1, ArrowUp: here - 1, j: here + 1, k: here - 1, Home: 0, End: rows.length - 1 };
    if (event.ctrlKey || event.metaKey || event.altKey || !rows.length) return;
    if (event.key in moves) {
      const next = rows[Math.min(rows.length - 1, Math.max(0, moves[event.key]))];
      go({ path: next.full });
    } else if (event.key === "ArrowRight" && row?.kind === "directory" && !row.isOpen) toggle(row);
    else if (event.key === "ArrowLeft" && row?.isOpen) toggle(row);
    else if (event.key === "ArrowLeft" && row) go({ path: parent(row.full) });
    else if (event.key === "Enter" && row?.kind === "directory") toggle(row);
    else return;
    event.preventDefault();
  };

  const problem = directories.problem("/");
  return html`
    <div class="tree" role="treegrid" aria-label="Files" aria-rowcount=${rows.length} tabindex="0" ref=${frame}
         aria-activedescendant=${rows.length ? "row-" + here : null}
         onScroll=${(event) => setTop(event.currentTarget.scrollTop)} onKeyDown=${onKey} data-version=${version}>
      ${problem && html`<p class="hint">${problem}</p>`}
      ${!rows.length && !problem && html`<p class="hint">There is nothing here at this rev.</p>`}
      <div class="space" style=${{ height: rows.length * HEIGHT + "px" }}>
        ${shown.map((row, place) => html`
          <div key=${row.full} id=${"row-" + (first + place)} role="row" aria-level=${row.level} aria-rowindex=${first + place + 1}
               aria-selected=${row.full === route.path} aria-expanded=${row.kind === "directory" ? row.isOpen : null}
               class=${"row" + (row.full === route.path ? " here" : "") + (directories.fresh(row.full) ? " fresh" : "")}
               style=${{ top: (first + place) * HEIGHT + "px", paddingLeft: row.level * 18 - 8 + "px" }}
               onClick=${() => (row.kind === "directory" ? toggle(row) : go({ path: row.full }))}>
            <span role="gridcell" class="name"><span class="mark" aria-hidden="true">${row.kind === "directory" ? (row.isOpen ? "▾" : "▸") : "·"}</span>${row.name}${row.kind === "directory" ? "/" : ""}</span>
            <span role="gridcell" class="size">${row.kind === "directory" ? row.size + (row.size === 1 ? " entry" : " entries") : row.size + " B"}</span>
            <span role="gridcell" class="rev">${row.mod_rev}</span>
          </div>`)}
      </div>
    </div>`;
}
