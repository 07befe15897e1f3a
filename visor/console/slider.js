// Time: how many commits there were when, and which moment is looked at; a second one may be pinned, and all be replayed.
import { useEffect, useMemo, useRef, useState } from "./vendor/hooks.mjs";
import { read, steady, url } from "./api.js";
import { html } from "./html.js";
import { useShortcuts } from "./keys.js";
import { Player, SPEEDS } from "./replay.js";
import { current, go } from "./route.js";
import { clock, counted } from "./words.js";

const BUCKETS = 200;
const STEPS = 2000;
const TALL = 40;

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

const words = (rev, commit) => (commit ? `rev ${rev}, ${clock(commit.time)}, ${counted(commit.changes, "change")}, by ${commit.actor || "nobody"}` : `rev ${rev}`);

// Bars of the buckets as one shape. What is rare can be seen as well: heights grow by the root.
const bars = (counts, most) => counts.map((count, place) => {
  if (!count) return "";
  const height = 3 + (TALL - 6) * Math.sqrt(count / most);
  return `M${place} ${TALL}v${-height.toFixed(1)}h.78v${height.toFixed(1)}z`;
}).join("");

function useDensity(latest, path) {
  const [told, setTold] = useState(null);
  const [own, setOwn] = useState(null);
  const due = useRef(0);
  useEffect(() => {
    if (!latest) return;
    const later = setTimeout(() => {
      due.current = Date.now() + 2500;
      read(url("density", null, { buckets: BUCKETS })).then(setTold, () => {});
    }, told ? Math.max(0, due.current - Date.now()) : 0);
    return () => clearTimeout(later);
  }, [latest]);
  useEffect(() => { // where the selected path was changed
    if (!told || path === "/") return setOwn(null);
    let over = false;
    const later = setTimeout(() => {
      const search = new URLSearchParams([["glob", path], ["glob", `${path}/**`], ["buckets", BUCKETS], ["from", told.from], ["to", told.to]]);
      read(`/v1/density?${search.toString().replaceAll("+", "%20")}`).then((found) => over || setOwn(found), () => over || setOwn(null));
    }, 300);
    return () => { over = true; clearTimeout(later); };
  }, [told, path]);
  return [told, path === "/" ? null : own];
}

function useCommit(rev, shown) {
  const [own, setOwn] = useState(null);
  useEffect(() => {
    if (!rev || shown) return;
    let over = false;
    const later = setTimeout(() => {
      steady(url("moment", null, { at: rev })).then(({ commit }) => over || setOwn(commit), () => over || setOwn(null));
    }, 60);
    return () => { over = true; clearTimeout(later); };
  }, [rev, shown !== null]);
  const found = shown?.rev === rev ? shown.commit : own;
  return found?.rev === rev ? found : null;
}

function usePlayer(route, latest, oldest) {
  const [speed, setSpeed] = useState(10);
  const [playing, setPlaying] = useState(false);
  const player = useRef(null);
  player.current ??= new Player((rev) => go({ at: rev }, { quick: true }), (atEnd) => { setPlaying(false); if (atEnd) go({ at: null }); });
  const play = (chosen = speed) => {
    setSpeed(chosen);
    setPlaying(true);
    player.current.start(route.at === null || route.at >= latest ? oldest : route.at, chosen);
  };
  const stop = () => player.current.stop();
  useEffect(() => {
    if (!playing) return;
    const onKey = (event) => { // whichever key it is: it stops, and a space does no more than that
      if (["Shift", "Control", "Alt", "Meta", "Tab"].includes(event.key)) return;
      stop();
      if (event.key === " ") { event.preventDefault(); event.stopPropagation(); }
    };
    addEventListener("keydown", onKey, true);
    return () => removeEventListener("keydown", onKey, true);
  }, [playing]);
  useEffect(() => stop, []);
  return { speed, playing, play, stop };
}

export function Slider({ route, latest, shown = null, floor = 0 }) {
  const [told, own] = useDensity(latest, route.screen === "tree" ? route.path : "/");
  const [held, hold] = useState(null);
  const rev = route.at ?? latest;
  const commit = useCommit(rev, shown);
  const oldest = floor + 1;
  const { speed, playing, play, stop } = usePlayer(route, latest, oldest);
  const at = (wanted, quick = true) => go({ at: wanted >= latest ? null : Math.max(oldest, wanted) }, { quick });
  const pin = () => go({ diff: route.diff === null ? rev : null });
  const by = (step) => at((current().at ?? latest) + step);
  useShortcuts({
    ",": () => by(-1), ".": () => by(1), l: () => go({ at: null }),
    " ": () => (playing ? stop() : play()), ...(route.screen === "tree" ? { d: pin } : {}),
  });
  const shape = useMemo(() => told && html`
    <svg viewBox=${`0 0 ${told.counts.length} ${TALL}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="all" d=${bars(told.counts, Math.max(1, ...told.counts))} />
      ${own && html`<path class="own" d=${bars(own.counts, Math.max(1, ...own.counts))} />`}
    </svg>`, [told, own]);
  if (!told || told.revs.length < 2) return html`<div class="time"></div>`;

  const span = (place) => `${(place / STEPS) * 100}%`;
  const place = route.at === null ? STEPS : stepOf(told.revs, rev);
  const text = words(rev, commit);
  const tenth = Math.max(1, Math.round((latest - oldest) / 10));
  const onKey = (event) => {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -tenth, PageUp: tenth, Home: -latest, End: latest };
    if (event.key === " ") play();
    else if (event.key in moves) by(moves[event.key]);
    else return;
    event.preventDefault();
  };
  const onInput = (event) => {
    const step = Number(event.currentTarget.value);
    stop();
    hold(step);
    at(step >= STEPS ? latest : revAt(told.revs, step));
  };
  return html`
    <section class="time" aria-label="Time">
      <div class="strip">
        ${shape}
        <div class="marks" aria-hidden="true">
          ${route.at !== null && html`<div class="after" style=${{ left: span(held ?? place) }}></div>`}
          ${route.diff !== null && html`<div class="pin" style=${{ left: span(stepOf(told.revs, route.diff)) }}></div>`}
        </div>
        <input type="range" min="0" max=${STEPS} step="1" value=${held ?? place} aria-label="Moment" aria-valuetext=${text}
               onInput=${onInput} onKeyDown=${onKey} onPointerUp=${() => hold(null)} onBlur=${() => hold(null)} onChange=${() => hold(null)} />
      </div>
      <div class="moment">
        <span class="words">${route.at === null ? html`<b>Now</b>` : html`<b class="was">Past, read only</b>`}${text}${commit?.note ? html` <q>${commit.note}</q>` : ""}</span>
        <span class="buttons">
          <button onClick=${() => at(rev - 1, false)} disabled=${route.at !== null && rev <= oldest} title="One commit back (,)" aria-label="One commit back">‹</button>
          <button onClick=${() => at(rev + 1, false)} disabled=${route.at === null} title="One commit on (.)" aria-label="One commit on">›</button>
          <span class="group" role="group" aria-label="Replay">
            ${playing ? html`<button class="main" onClick=${stop} title="Any key stops">Stop</button>`
              : SPEEDS.map((each) => html`<button onClick=${() => play(each)} aria-label=${`Replay at ${each} times the speed`}
                  title=${each === speed ? "Replay (space)" : "Replay"}>${each === SPEEDS[0] ? "▸ " : ""}${each}×</button>`)}
          </span>
          ${route.screen === "tree" && html`<button aria-pressed=${route.diff !== null} onClick=${pin}
            title="Pin this moment, and see what differs (d)">${route.diff === null ? "Pin" : `Pinned ${route.diff}`}</button>`}
          <button disabled=${route.at === null} onClick=${() => go({ at: null })} title="Back to now (l)">Live</button>
        </span>
      </div>
    </section>`;
}
