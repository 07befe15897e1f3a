// What was: the commits that changed a path, newest first, any two of which can be compared; and who changed what last.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { html } from "./html.js";
import { go, name } from "./route.js";
import { when } from "./slider.js";

const PAGE = 30;

// Pages that a button asks for. `version`: the first page is read again, what was read stays on the screen meanwhile.
function useRows(make, version) {
  const [state, setState] = useState({ items: [], next: null });
  const [where] = [make(null)];
  useEffect(() => {
    let over = false;
    read(where).then((page) => over || setState({ items: page.items, next: page.next }), (problem) => over || setState({ items: [], next: null, problem }));
    return () => { over = true; };
  }, [where, version]);
  const more = () => read(make(state.next)).then(
    (page) => setState((before) => ({ items: [...before.items, ...page.items], next: page.next })), (problem) => setState((before) => ({ ...before, problem })));
  return { ...state, more };
}

const More = ({ next, more }) => next && html`<p><button onClick=${more}>Show more</button></p>`;

export function History({ route, version, current }) {
  const { path } = route;
  const { items, next, more, problem } = useRows((cursor) => url("history", path, { reverse: 1, limit: PAGE, cursor }), version);
  const own = (commit) => commit.changes.find((each) => each.path === path);
  return html`
    ${problem && html`<p class="hint">${problem.told?.status === 410 ? "Older history is gone: it was compacted." : problem.message}</p>`}
    <ol class="history">
      ${items.map((commit) => html`
        <li key=${commit.rev} class=${commit.rev === current ? "here" : commit.rev === route.diff ? "pinned" : ""}>
          <button class="link" onClick=${() => go({ at: commit.rev })} aria-label=${"Look at rev " + commit.rev} aria-current=${commit.rev === current ? "true" : null}>rev ${commit.rev}</button>
          <span class=${"tag " + (own(commit)?.kind ?? "")}>${own(commit)?.kind ?? `${commit.changes.length} ${commit.changes.length === 1 ? "change" : "changes"}`}</span>
          <span class="who">${commit.actor || "nobody"}</span><time datetime=${commit.time}>${when(commit.time)}</time>
          ${commit.rev === route.diff ? html`<button class="link act" onClick=${() => go({ diff: null })}>compared</button>`
            : commit.rev !== current && html`<button class="link act" onClick=${() => go({ diff: commit.rev })} aria-label=${`Compare rev ${commit.rev} with what is shown`}>compare</button>`}
          ${commit.note && html`<q>${commit.note}</q>`}
        </li>`)}
    </ol>
    <${More} next=${next} more=${more} />`;
}

export function Blame({ path, at, version }) {
  const { items, next, more, problem } = useRows((cursor) => url("blame", path, cursor ? { cursor, limit: PAGE } : { at, limit: PAGE }), version);
  return html`
    ${problem && html`<p class="hint">${problem.message}</p>`}
    <div class="wide" role="region" aria-label="Who changed what last" tabindex="0"><table class="blame">
      <thead><tr><th>File</th><th>Rev</th><th>By</th><th>When</th><th>Why</th></tr></thead>
      <tbody>${items.map((each) => html`
        <tr key=${each.path}><td><button class="link" title=${each.path} onClick=${() => go({ path: each.path })}>${each.path.slice(path === "/" ? 1 : path.length + 1) || name(path)}</button></td>
          <td>${each.mod_rev}</td><td>${each.actor ?? "—"}</td><td>${each.time ? when(each.time) : "before history"}</td><td>${each.note ?? ""}</td></tr>`)}</tbody>
    </table></div>
    <${More} next=${next} more=${more} />`;
}
