// A long list of which only what can be seen is drawn, and read: pages come as somebody scrolls towards their end.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";
import { read } from "./api.js";
import { html } from "./html.js";

const BEYOND = 6;

// Pages of one reading: {items, next, done, problem, first, more()}. `make` returns the URL of the page behind a cursor, of the first
// one without, which is read at once, and again with another `version`; what was read before stays until then (`first`: of what).
export function usePages(make, version = 0) {
  const [state, setState] = useState({ items: [] });
  const turn = useRef(null);
  const first = make(null);
  const load = (where, before) => {
    const mine = (turn.current = {});
    const shown = (found) => {
      if (turn.current !== mine) return;
      turn.current = null;
      setState(found);
    };
    read(where).then(({ items, next }) => shown({ items: [...before, ...items], next, done: next === null, first }), (problem) => shown({ items: before, problem, first }));
  };
  useEffect(() => {
    if (first) load(first, []);
    return () => { turn.current = null; };
  }, [first, version]);
  const more = () => { if (!turn.current && state.next && state.first === first) load(make(state.next), state.items); };
  return { ...state, more };
}

// Rows of one height. `draw(item, index)`; `more` is called near the end.
export function List({ items, height = 30, label, draw, more, selected = -1, choose, role = "listbox" }) {
  const box = useRef(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(300);
  const first = Math.max(0, Math.floor(top / height) - BEYOND);
  const last = Math.min(items.length, Math.ceil((top + tall) / height) + BEYOND);
  useLayoutEffect(() => {
    const measure = () => setTall(box.current?.clientHeight ?? 300);
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  useEffect(() => { if (last >= items.length - 2 * BEYOND) more?.(); });
  const show = (index) => {
    const place = index * height, at = box.current;
    if (place < at.scrollTop) at.scrollTop = place;
    if (place > at.scrollTop + at.clientHeight - height) at.scrollTop = place - at.clientHeight + height;
  };
  const onKey = (event) => {
    const page = Math.max(1, Math.floor(tall / height) - 1);
    const moves = { ArrowDown: selected + 1, ArrowUp: selected - 1, Home: 0, End: items.length - 1, PageDown: selected + page, PageUp: selected - page };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey || !items.length) return;
    event.preventDefault();
    event.stopPropagation();
    const index = Math.min(items.length - 1, Math.max(0, moves[event.key]));
    show(index);
    choose(items[index], index);
  };
  return html`
    <div class="list" role=${role} aria-label=${label} tabindex="0" ref=${box} onScroll=${(event) => setTop(event.currentTarget.scrollTop)}
         onKeyDown=${onKey} aria-activedescendant=${selected >= first && selected < last ? `${role}-${selected}` : null}>
      <div class="space" role="presentation" style=${{ height: items.length * height + "px" }}>
        ${items.slice(first, last).map((item, offset) => html`
          <div key=${first + offset} id=${`${role}-${first + offset}`} role="option" aria-selected=${first + offset === selected} aria-posinset=${first + offset + 1}
               aria-setsize=${items.length} class=${"row" + (first + offset === selected ? " here" : "")}
               style=${{ transform: `translateY(${(first + offset) * height}px)` }} onClick=${() => choose(item, first + offset)}>${draw(item)}</div>`)}
      </div>
    </div>`;
}
