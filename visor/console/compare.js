// What differs: lines of two texts, and the files that are not the same at two moments.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { url } from "./api.js";
import { lines } from "./diff.js";
import { html } from "./html.js";
import { List, usePages } from "./list.js";
import { above, go } from "./route.js";
import { pretty } from "./value.js";
import { counted } from "./words.js";

const SETTLED = 120;
const SIGNS = { more: "+", less: "−", same: " ", note: " " };
const KINDS = { create: "+", update: "~", delete: "−" };

export const textOf = (version) => (version ? version.value ?? null : "");

export function Difference({ before, after }) {
  if (before === null || after === null) return html`<p class="hint">One of the two is no text.</p>`;
  if (before === after) return html`<p class="hint">They are the same.</p>`;
  const told = [before, after].map((each) => (each ? pretty(each) : ""));
  const [a, b] = told[0] === null || told[1] === null || told[0] === told[1] ? [before, after] : told;
  return html`<pre class="diff" tabindex="0" role="region" aria-label="Lines that differ">${lines(a, b).map((each) => html`
    <div class=${each.kind}><span aria-hidden="true">${SIGNS[each.kind]} </span>${each.kind === "more" ? html`<ins>${each.text}</ins>`
      : each.kind === "less" ? html`<del>${each.text}</del>` : each.text}</div>`)}</pre>`;
}

// A dry run's changes, or a part of them.
export function Changes({ told }) {
  if (!told.changes.length) return html`<p class="hint">Nothing would change.</p>`;
  return html`${told.changes.slice(0, 50).map((each) => html`
    <section key=${each.path}><h4><span class=${"tag " + each.kind}>${each.kind}</span> <code>${each.path}</code></h4>
      <${Difference} before=${textOf(each.before)} after=${textOf(each.after)} /></section>`)}
    ${told.changes.length + told.left_out > 50 && html`<p class="hint">and ${told.changes.length + told.left_out - 50} more</p>`}`;
}

// Two moments: the older one is always the one before.
export function Compare({ route, rev }) {
  const [b, setB] = useState(rev);
  useEffect(() => {
    const later = setTimeout(() => setB(rev), SETTLED);
    return () => clearTimeout(later);
  }, [rev]);
  const low = Math.min(route.diff, b), high = Math.max(route.diff, b);
  const where = (cursor) => (b ? url("diff", null, { a: low, b: high, limit: 200, cursor }) : null);
  const pages = usePages(where);
  const { items, done, problem } = pages.first === where(null) ? pages : { items: [] }; // those of other moments are not shown
  const selected = items.findIndex((each) => each.path === route.path);
  const choose = (each) => go({ path: each.path, open: new Set([...route.open, ...above(each.path)]) });
  const chosen = items[selected];
  const count = problem ? "" : done ? counted(items.length, "file differs", "files differ") : items.length ? `more than ${items.length} files differ` : "looking…";
  return html`
    <section class="compare" aria-label="What differs">
      <div class="title"><h2>Rev ${low} <span class="soft">to</span> ${high}</h2><span class="soft" role="status">${count}</span>
        <button class="link" onClick=${() => go({ diff: null })} title="d">Close</button></div>
      ${problem && html`<p class="hint problem">${problem.message}</p>`}
      ${done && !items.length && html`<p class="hint">Nothing differs between the two.</p>`}
      <${List} label="Files that differ" items=${items} more=${pages.more} selected=${selected} choose=${choose} draw=${(each) => html`
        <span class=${"tag " + each.kind} title=${each.kind}><span aria-hidden="true">${KINDS[each.kind] ?? each.kind}</span><span class="unseen">${each.kind}</span></span>
        <span class="name">${each.path}</span><span class="rev">${each.rev}</span>`} />
      ${chosen && html`<div class="chosen"><h3>${chosen.path}</h3><${Difference} before=${textOf(chosen.before)} after=${textOf(chosen.after)} /></div>`}
    </section>`;
}
