// Looking for files: a path goes there, a glob lists what matches, `value: text` looks into values below where one is.
import { useEffect, useRef, useState } from "./vendor/hooks.mjs";
import { ask, read, url } from "./api.js";
import { html } from "./html.js";
import { List } from "./list.js";
import { above, go } from "./route.js";

const PAGE = 500;
const FILES = 20_000; // looked at in one go, and so many bytes of values; then it asks whether to go on
const BYTES = 16 << 20;
const FOUND = 5_000;

// What somebody typed means: {path} | {glob} | {text, glob}. Pure.
export function meant(text, below) {
  const value = /^value:\s*(.+)$/.exec(text);
  const directory = below === "/" ? "" : below;
  if (value) return { text: value[1], glob: `${directory}/**` };
  if (/[*?{]/.test(text)) return { glob: text.startsWith("/") ? text : `${directory}/**${text}` };
  if (text.startsWith("/") || !text) return { path: "/" + text.split("/").filter(Boolean).join("/") };
  return { glob: `${directory}/**${text}**` };
}

export function find(text, route, directory) {
  const said = meant(text.trim(), directory);
  if (said.path !== undefined) go({ screen: "tree", path: said.path, q: "", open: new Set([...route.open, ...above(said.path)]) });
  else go({ screen: "tree", q: said.text ? `${said.glob} ${said.text}` : said.glob });
}

// `q` in the URL: a glob, and behind a space the text that values have.
const parts = (q) => { const place = q.indexOf(" "); return place < 0 ? [q, ""] : [q.slice(0, place), q.slice(place + 1)]; };

const excerpt = (value, text) => {
  const place = value.indexOf(text), from = Math.max(0, place - 24);
  return [(from ? "…" : "") + value.slice(from, place), text, value.slice(place + text.length, place + text.length + 60)].map((each) => each.replaceAll("\n", " "));
};

class Search {
  constructor(q, at, tell) {
    [this.glob, this.text] = parts(q);
    this.at = at;
    this.tell = tell;
    this.abort = new AbortController();
    Object.assign(this, { found: [], looked: 0, count: null, state: "looking", reached: "", problem: null, next: null });
  }

  async go() {
    this.state = "looking";
    this.tell();
    let files = 0, bytes = 0;
    const signal = this.abort.signal;
    try {
      if (this.count === null && !this.text) this.total(signal);
      do {
        const where = url("scan", null, this.next ? { cursor: this.next, values: this.text ? 1 : 0, limit: PAGE, glob: this.glob }
          : { glob: this.glob, at: this.at, values: this.text ? 1 : 0, limit: PAGE });
        const answer = await ask(where, { signal });
        const body = await answer.text();
        const page = JSON.parse(body);
        bytes += body.length;
        files += page.items.length;
        this.looked += page.items.length;
        this.reached = page.items[page.items.length - 1]?.path ?? this.reached;
        for (const each of page.items) if (!this.text || each.value?.includes(this.text)) this.found.push({ path: each.path, mod_rev: each.mod_rev, value: each.value });
        this.next = page.next;
        if (this.next === null) this.state = "done";
        else if (files >= FILES || bytes >= BYTES || this.found.length >= FOUND || (!this.text && this.found.length >= PAGE)) this.state = "paused";
        this.tell();
      } while (this.state === "looking");
    } catch (error) {
      if (error.name === "AbortError") this.state = "stopped";
      else Object.assign(this, { state: "failed", problem: error });
      this.tell();
    }
  }

  async total(signal) {
    try {
      this.count = (await read(url("scan", null, { glob: this.glob, at: this.at, count: 1 }), { signal })).count;
      this.tell();
    } catch { /* the list says what is wrong */ }
  }

  stop() {
    this.abort.abort();
  }

  again() {
    this.abort = new AbortController();
    this.go();
  }
}

export function Found({ route, rev }) {
  const [, tell] = useState(0);
  const search = useRef(null);
  const at = route.at ?? rev;
  const [live] = useState({ at }); // what was latest when it began: it does not begin again with each commit
  if (route.at !== null || !live.at) live.at = at;
  useEffect(() => {
    if (!live.at) return;
    const made = (search.current = new Search(route.q, live.at, () => tell((number) => number + 1)));
    made.go();
    return () => made.stop();
  }, [route.q, route.at, live.at > 0]);
  const made = search.current;
  if (!made) return html`<div class="found"></div>`;
  const { state, found, text, looked, count } = made;
  const selected = found.findIndex((each) => each.path === route.path);
  const number = new Intl.NumberFormat();
  const said = text ? `${number.format(found.length)} of ${number.format(looked)} files have it` : `${number.format(count ?? found.length)} ${(count ?? found.length) === 1 ? "file" : "files"}`;
  const how = { looking: `looking at ${made.reached || made.glob} …`, paused: text || found.length >= FOUND ? `looked up to ${made.reached}` : "", stopped: `stopped at ${made.reached || "the beginning"}`, done: "", failed: "" }[state];
  return html`
    <section class="found" aria-label="What was found">
      <div class="title"><h2>${text ? html`“${text}” <span class="soft">in</span> ` : ""}<code>${made.glob}</code></h2>
        <button class="link" onClick=${() => go({ q: "" })}>Back to the tree</button></div>
      <p class="hint" role="status">${said}${how ? `, ${how}` : ""}
        ${state === "looking" && html` <button class="link" onClick=${() => made.stop()}>stop</button>`}
        ${(state === "paused" || state === "stopped") && (text || state === "stopped") && html` <button class="link" onClick=${() => made.again()}>go on</button>`}</p>
      ${made.problem && html`<p class="hint problem">${made.problem.message}</p>`}
      ${state === "done" && !found.length && html`<p class="hint">Nothing is so at this rev.</p>`}
      <${List} label="Files found" height=${text ? 46 : 30} items=${found} selected=${selected} more=${state === "paused" && !text && found.length < FOUND ? () => made.again() : null}
        choose=${(each) => go({ path: each.path, open: new Set([...route.open, ...above(each.path)]) })}
        draw=${(each) => html`<span class="name">${each.path}${text && each.value !== undefined && (() => { const [a, b, c] = excerpt(each.value, text); return html`<small>${a}<mark>${b}</mark>${c}</small>`; })()}</span><span class="rev">${each.mod_rev}</span>`} />
    </section>`;
}
