// Time: how many commits there were when, and which rev is looked at. `,` and `.` go commit by commit.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { html } from "./html.js";
import { go } from "./route.js";

const BUCKETS = 200;
const STEPS = 1000;

// The rev at a place between 0 and STEPS, and the place of a rev: both by the edges of the buckets.
export function revAt(revs, step) {
  const place = (step / STEPS) * (revs.length - 1);
  const low = Math.min(revs.length - 2, Math.floor(place));
  return Math.round(revs[low] + (revs[low + 1] - revs[low]) * (place - low));
}

export function stepOf(revs, rev) {
  let low = 0;
  while (low < revs.length - 2 && revs[low + 1] < rev) low++;
  const width = revs[low + 1] - revs[low];
  const inside = width > 0 ? Math.min(1, Math.max(0, (rev - revs[low]) / width)) : 1;
  return ((low + inside) / (revs.length - 1)) * STEPS;
}

export const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function Slider({ route, latest, version }) {
  const [told, setTold] = useState(null);
  const [commit, setCommit] = useState(null);

  useEffect(() => {
    const abort = new AbortController();
    const later = setTimeout(() => {
      read(url("density", null, { buckets: BUCKETS }), { signal: abort.signal }).then(setTold, () => {});
    }, told ? 1500 : 0);
    return () => { clearTimeout(later); abort.abort(); };
  }, [version]);

  const rev = route.at ?? latest;
  useEffect(() => {
    if (!rev) return setCommit(null);
    const abort = new AbortController();
    const later = setTimeout(() => {
      read(url("commits", null, { from: rev, to: rev }), { signal: abort.signal })
        .then((page) => setCommit(page.items[0] ?? null), () => {});
    }, 60);
    return () => { clearTimeout(later); abort.abort(); };
  }, [rev]);

  if (!told || told.revs.length < 2) return html`<div class="time"></div>`;
  const most = Math.max(1, ...told.counts);
  const words = commit
    ? `rev ${rev}, ${when(commit.time)}, ${commit.changes.length} ${commit.changes.length === 1 ? "change" : "changes"}, by ${commit.actor}`
    : `rev ${rev}`;
  const move = (step) => {
    const wanted = revAt(told.revs, step);
    go({ at: wanted >= latest ? null : Math.max(told.revs[0] || 1, wanted) });
  };
  return html`
    <div class="time">
      <svg class="density" viewBox=${`0 0 ${told.counts.length} 20`} preserveAspectRatio="none" aria-hidden="true">
        ${told.counts.map((count, place) => count > 0 && html`
          <rect x=${place} y=${20 - 3 - (17 * count) / most} width="0.9" height=${3 + (17 * count) / most} />`)}
      </svg>
      <input type="range" min="0" max=${STEPS} step="1" value=${route.at === null ? STEPS : stepOf(told.revs, rev)}
             aria-label="Moment" aria-valuetext=${words} onInput=${(event) => move(Number(event.currentTarget.value))} />
      <div class="moment">
        <span>${words}${commit?.note ? html` <q>${commit.note}</q>` : ""}</span>
        <span class="buttons">
          <button onClick=${() => go({ at: Math.max(1, rev - 1) })} title="One commit back (,)" aria-label="One commit back">‹</button>
          <button disabled=${route.at === null} onClick=${() => go({ at: rev + 1 >= latest ? null : rev + 1 })}
                  title="One commit on (.)" aria-label="One commit on">›</button>
          <button disabled=${route.at === null} onClick=${() => go({ at: null })} title="Back to now (l)">Live</button>
        </span>
      </div>
    </div>`;
}
