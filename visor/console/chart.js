// Lines of the last minutes, as SVG: small, drawn anew with each sample, and told in words to who does not see them.
import { useState } from "./vendor/hooks.mjs";
import { html } from "./html.js";
import { clock } from "./words.js";

const WIDTH = 300;
const HEIGHT = 72;
const GAP = 7000; // milliseconds without a sample: the line is broken there

// The next of 1, 2, 5, 10 ... that holds all values.
export function ceiling(values, least) {
  const most = Math.max(least, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= most * 0.999);
}

// Runs of points without a gap, each as [x, y] within the picture.
export function runs(points, from, to, top) {
  const found = [];
  let before = null;
  for (const [time, value] of points) {
    if (value === null || time < from) { before = null; continue; }
    if (before === null || time - before > GAP) found.push([]);
    before = time;
    found.at(-1).push([(WIDTH * (time - from)) / (to - from), HEIGHT - (HEIGHT - 4) * Math.min(1, value / top)]);
  }
  return found;
}

const round = (number) => Math.round(number * 10) / 10;
const line = (run) => run.map(([x, y], place) => `${place ? "L" : "M"}${round(x)} ${round(y)}`).join("");
const area = (run) => `${line(run)}L${round(run.at(-1)[0])} ${HEIGHT}L${round(run[0][0])} ${HEIGHT}Z`;

const ago = (span) => (span < 90000 ? "1 min ago" : `${Math.round(span / 60000)} min ago`);
const latest = (points) => points.at(-1)?.[1] ?? null;

function nearest(points, time) {
  let best = null;
  for (const point of points) if (best === null || Math.abs(point[0] - time) < Math.abs(best[0] - time)) best = point;
  return best && Math.abs(best[0] - time) < GAP ? best[1] : null;
}

// `series`: [{ name, points: [[milliseconds, value or null]] }], the first one filled. `format` makes words of a value.
export function Chart({ title, series, from, to, format, least = 1 }) {
  const [at, setAt] = useState(null);
  const values = series.flatMap(({ points }) => points.filter(([time, value]) => time >= from && value !== null).map(([, value]) => value));
  const top = ceiling(values, least);
  const time = at === null ? null : from + at * (to - from);
  const told = series.map(({ name, points }) => ({ name, value: time === null ? latest(points) : nearest(points, time) }));
  const words = (value) => (value === null ? "—" : format(value));
  const summary = `${title}: ${told.map(({ name, value }) => `${name} ${words(value)}`.trim()).join(", ")}`
    + (values.length ? `; at most ${format(Math.max(...values))} in the last minutes` : "");
  const move = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    setAt(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };
  return html`
    <figure class="chart">
      <figcaption><span>${title}</span><span class="now">${told.map(({ name, value }, place) => html`
        <span class=${"s" + place}>${name && html`<small>${name}</small> `}<b>${words(value)}</b></span>`)}</span></figcaption>
      <div class="plot" onPointerMove=${move} onPointerLeave=${() => setAt(null)}>
        <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${summary}>
          <path class="grid" d=${`M0 4H${WIDTH}M0 ${(HEIGHT + 4) / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
          ${series.map(({ points }, place) => runs(points, from, to, top).map((run) => html`
            ${place === 0 && html`<path class="area" d=${area(run)} />`}
            <path class=${"line s" + place} d=${line(run)} />`))}
          ${at !== null && html`<path class="cursor" d=${`M${WIDTH * at} 0V${HEIGHT}`} />`}
        </svg>
        <span class="top" aria-hidden="true">${format(top)}</span>
      </div>
      <div class="axis" aria-hidden="true"><span>${ago(to - from)}</span><span>${time === null ? "now" : clock(time)}</span></div>
    </figure>`;
}

// A line without words, for a row.
export function Spark({ points, from, to, label }) {
  const top = ceiling(points.filter(([, value]) => value !== null).map(([, value]) => value), 10);
  return html`
    <svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
      <path class="grid" d=${`M0 ${HEIGHT - 1}H${WIDTH}`} />
      ${runs(points, from, to, top).map((run) => html`<path class="line s0" d=${line(run)} />`)}
    </svg>`;
}
