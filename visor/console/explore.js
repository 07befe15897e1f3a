// The tree screen: what there is at a moment, what was found, what is selected, or what differs between two moments.
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { Compare } from "./compare.js";
import { File } from "./file.js";
import { html } from "./html.js";
import { enabled, useShortcuts } from "./keys.js";
import { current, go } from "./route.js";
import { Found } from "./search.js";
import { firstView, Tree } from "./tree.js";

// The commit before or after a moment that changed the path, or anything below it.
async function step(latest, back) {
  const route = current(), rev = route.at ?? latest;
  const query = back ? { to: rev - 1, reverse: 1, limit: 1 } : { from: rev + 1, limit: 1 };
  if (back && rev <= 1) return;
  if (!back && route.at === null) return;
  const found = (await read(url("history", route.path, query))).items[0];
  if (found) go({ at: found.rev });
  else if (!back) go({ at: null });
}

function Problem({ problem, floor }) {
  if (problem.told?.status === 410) return html`
    <div class="notice" role="alert">This moment is no longer kept: history begins at rev ${floor + 1}.
      <button class="link" onClick=${() => go({ at: floor + 1 })}>Look at that</button> <button class="link" onClick=${() => go({ at: null })}>Back to now</button></div>`;
  if (problem.told?.code === "future_rev") return html`
    <div class="notice" role="alert">There is no such rev yet. <button class="link" onClick=${() => go({ at: null })}>Back to now</button></div>`;
  return html`<div class="notice" role="alert">${problem.message}</div>`;
}

// What is at a path is read again when it was changed, however the moment moves.
function useVersion(feed, path) {
  const [version, next] = useReducer((number) => number + 1, 0);
  useEffect(() => {
    let timer = null;
    const inside = path === "/" ? "/" : path + "/";
    return feed.listen((name, data) => {
      if (timer || (name !== "anew" && !(name === "commit" && data.changes.some((each) => each.path === path || each.path.startsWith(inside))))) return;
      timer = setTimeout(() => { timer = null; next(); }, 400);
    }, true);
  }, [path]);
  return version;
}

export function Explore({ route, latest, floor, feed, moment, version }) {
  const view = useRef(firstView());
  const touched = useVersion(feed, route.path);
  const rev = route.at ?? latest;
  const want = () => moment.want({ rev, live: route.at === null, open: route.open, path: route.path, view: view.current, quick: route.quick && route.at !== null });
  const again = useRef(want);
  again.current = want;
  useLayoutEffect(want, [rev, route]);
  useShortcuts({
    "[": () => step(latest, true).catch(() => {}), "]": () => step(latest, false).catch(() => {}),
    c: () => navigator.clipboard?.writeText(current().path),
    Escape: () => { if (route.diff !== null) go({ diff: null }); else if (route.q) go({ q: "" }); },
  });
  const shown = moment.shown;
  const empty = shown && shown.tree.size === 0 && !moment.problem;
  // While somebody drags, the slider alone is drawn for each input, and these when there is something new to see.
  const left = useMemo(() => html`<div class="left">${empty && html`<p class="hint">There is nothing here at this rev.</p>`}
    ${shown?.tree.partly && html`<p class="hint">You may read parts of this, and see those.</p>`}
    <${Tree} moment=${moment} route=${route} shortcuts=${enabled()} look=${(now) => { view.current = now; again.current(); }} /></div>`, [shown, route.path, route.open, version]);
  const file = useMemo(() => (shown ? html`<${File} route=${route} moment=${shown} version=${touched} />` : html`<div class="file"></div>`),
    [shown, route.path, route.diff, touched]);
  return html`
    ${moment.problem && html`<${Problem} problem=${moment.problem} floor=${floor} />`}
    <div class="panes">
      ${route.q ? html`<${Found} key=${route.q} route=${route} rev=${latest} />`
        : left}
      ${route.diff !== null ? html`<${Compare} route=${route} rev=${shown?.rev ?? 0} />`
        : file}
    </div>`;
}
