// Instances by host: a row a host, a cell an instance, of which only the rows are drawn that can be seen.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";
import { html } from "./html.js";
import { MARKS, words } from "./fleetdata.js";
import { format, go } from "./route.js";

const PITCH = 28;
const GAP = 8;
const LABEL = { wide: 196, narrow: 0 };
const HEAD = { wide: 0, narrow: 26 };
const BEYOND = 300;
const STEP = 150;

const sayingOf = (each) =>
  `${each.id}, ${each.app} ${words(each)}, ${each.state}${each.host ? " on " + each.host : ", on no host"}${each.locked ? ", locked" : ""}`;

// Where each row begins, and how many cells stand beside each other.
export function layout(rows, width) {
  const form = width < 520 ? "narrow" : "wide";
  const across = Math.max(1, Math.floor((width - LABEL[form]) / PITCH));
  const tops = [0];
  for (const { instances } of rows) {
    const lines = Math.max(1, Math.ceil(instances.length / across));
    tops.push(tops[tops.length - 1] + HEAD[form] + lines * PITCH + GAP);
  }
  return { form, across, tops };
}

// The instance that a key goes to from the one at `place` of row `row`; null where there is none.
export function moved(rows, across, row, place, key) {
  const own = rows[row]?.instances.length ?? 0;
  const next = (from, by) => {
    for (let each = from + by; each >= 0 && each < rows.length; each += by) if (rows[each].instances.length) return each;
    return null;
  };
  const at = (which, where) => (which === null ? null : rows[which].instances[Math.min(where, rows[which].instances.length - 1)]);
  if (!own) return at(next(-1, 1), 0);
  const column = place % across;
  const last = (which) => (which === null ? 0 : Math.floor((rows[which].instances.length - 1) / across) * across);
  const line = place - column;
  switch (key) {
    case "ArrowRight": case "l": return at(row, place + 1);
    case "ArrowLeft": case "h": return at(row, Math.max(0, place - 1));
    case "ArrowDown": case "j": return line < last(row) ? at(row, place + across) : at(next(row, 1), column);
    case "ArrowUp": case "k": { const above = next(row, -1); return line > 0 ? at(row, place - across) : at(above, last(above) + column); }
    case "PageDown": return at(next(Math.min(rows.length - 2, row + 9), 1), column);
    case "PageUp": return at(next(Math.max(1, row - 9), -1), column);
    case "Home": return at(row, 0);
    case "End": return at(row, own - 1);
    default: return null;
  }
}

// Which part of an element can be seen, whatever it is that scrolls, in steps.
function useSeen(ref) {
  const [seen, setSeen] = useState({ from: 0, to: 1500, width: 800 });
  useLayoutEffect(() => {
    let waiting = 0;
    const measure = () => {
      waiting = 0;
      const box = ref.current?.getBoundingClientRect();
      if (!box) return;
      const from = Math.floor((-box.top - BEYOND) / STEP) * STEP;
      const to = Math.ceil((innerHeight - box.top + BEYOND) / STEP) * STEP;
      const width = Math.floor(box.width);
      setSeen((before) => (before.from === from && before.to === to && before.width === width ? before : { from, to, width }));
    };
    const soon = () => { waiting ||= requestAnimationFrame(measure); };
    measure();
    const sized = new ResizeObserver(soon);
    sized.observe(ref.current);
    addEventListener("scroll", soon, true);
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(waiting);
      sized.disconnect();
      removeEventListener("scroll", soon, true);
      removeEventListener("resize", soon);
    };
  }, []);
  return seen;
}

function Cell({ each, here, fresh }) {
  const saying = sayingOf(each);
  return html`<span role="gridcell" id=${"i" + each.id} class=${`cell ${each.state}${here ? " here" : ""}${fresh ? " fresh" : ""}${each.locked ? " locked" : ""}`}
    aria-label=${saying} aria-selected=${here} title=${saying} data-id=${each.id}>${MARKS[each.state]}</span>`;
}

export function Heat({ rows, route, fresh }) {
  const frame = useRef(null);
  const { from, to, width } = useSeen(frame);
  const { form, across, tops } = layout(rows, width);
  const row = route.pick === null ? -1 : rows.findIndex(({ instances }) => instances.some(({ id }) => id === route.pick));
  const place = row < 0 ? -1 : rows[row].instances.findIndex(({ id }) => id === route.pick);

  useEffect(() => { if (row >= 0) document.getElementById("i" + route.pick)?.scrollIntoView({ block: "nearest" }); }, [route.pick, row < 0, across]);
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "l") return; // back to now, everywhere
    const next = moved(rows, across, row, place, event.key);
    if (!next) return;
    go({ pick: next.id });
    event.preventDefault();
  };
  const onClick = (event) => {
    const id = event.target.dataset?.id;
    if (id) go({ pick: Number(id) === route.pick ? null : Number(id) });
  };
  const shown = rows.map((each, index) => ({ ...each, index }))
    .filter(({ index }) => index === row || (tops[index + 1] >= from && tops[index] <= to));
  return html`
    <div class=${"heat " + form} role="grid" aria-label="Instances by host" aria-rowcount=${rows.length} aria-readonly="true" tabindex="0" ref=${frame}
         aria-activedescendant=${row < 0 ? null : "i" + route.pick} onKeyDown=${onKey} onClick=${onClick} style=${{ height: tops[tops.length - 1] + "px" }}>
      ${shown.map(({ host, instances, known, index }) => html`
        <div key=${host} role="row" class="host" aria-rowindex=${index + 1} style=${{ top: tops[index] + "px", height: tops[index + 1] - tops[index] - GAP + "px" }}>
          <span role="rowheader" class="name">
            <span class=${"alive" + (known?.lease ? " yes" : host ? " no" : "")} title=${known?.lease ? `there, with lease ${known.lease}` : host ? "has no lease" : null}></span>
            ${host ? html`<a tabindex="-1" href=${format({ ...route, path: "/hosts/" + host, pick: null })}>${host}</a>` : html`<i>on no host yet</i>`}
            <small>${instances.length}</small></span>
          <span role="presentation" class="cells" style=${{ width: across * PITCH + "px" }}>${instances.map((each) => html`
            <${Cell} key=${each.id} each=${each} here=${each.id === route.pick} fresh=${fresh(each.id)} />`)}</span>
        </div>`)}
    </div>`;
}
