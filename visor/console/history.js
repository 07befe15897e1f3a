// What was: the commits that changed a path, newest first, any two of which can be compared; and who changed what last.
import { url } from "./api.js";
import { html } from "./html.js";
import { usePages } from "./list.js";
import { go, name } from "./route.js";
import { Table } from "./table.js";
import { counted, when } from "./words.js";

const PAGE = 30;

const More = ({ next, more }) => next && html`<p><button onClick=${more}>Show more</button></p>`;

export function History({ route, version, current }) {
  const { path } = route;
  const { items, next, more, problem } = usePages((cursor) => url("history", path, { reverse: 1, limit: PAGE, cursor }), version);
  const own = (commit) => commit.changes.find((each) => each.path === path);
  return html`
    ${problem && html`<p class="hint">${problem.told?.status === 410 ? "Older history is gone: it was compacted." : problem.message}</p>`}
    <ol class="history">
      ${items.map((commit) => html`
        <li key=${commit.rev} class=${commit.rev === current ? "here" : commit.rev === route.diff ? "pinned" : ""}>
          <button class="link" onClick=${() => go({ at: commit.rev })} aria-label=${"Look at rev " + commit.rev} aria-current=${commit.rev === current ? "true" : null}>rev ${commit.rev}</button>
          <span class=${"tag " + (own(commit)?.kind ?? "")}>${own(commit)?.kind ?? counted(commit.changes.length, "change")}</span>
          <span class="who">${commit.actor || "nobody"}</span><time datetime=${commit.time}>${when(commit.time)}</time>
          ${commit.rev === route.diff ? html`<button class="link act" onClick=${() => go({ diff: null })}>compared</button>`
            : commit.rev !== current && html`<button class="link act" onClick=${() => go({ diff: commit.rev })} aria-label=${`Compare rev ${commit.rev} with what is shown`}>compare</button>`}
          ${commit.note && html`<q>${commit.note}</q>`}
        </li>`)}
    </ol>
    <${More} next=${next} more=${more} />`;
}

export function Blame({ path, at, version }) {
  const { items, next, more, problem } = usePages((cursor) => url("blame", path, cursor ? { cursor, limit: PAGE } : { at, limit: PAGE }), version);
  return html`
    ${problem && html`<p class="hint">${problem.message}</p>`}
    <${Table} label="Who changed what last" kind="blame" rows=${items} columns=${[
      ["File", (each) => html`<button class="link" title=${each.path} onClick=${() => go({ path: each.path })}>${each.path.slice(path === "/" ? 1 : path.length + 1) || name(path)}</button>`],
      ["Rev", (each) => each.mod_rev], ["By", (each) => each.actor ?? "—"], ["When", (each) => (each.time ? when(each.time) : "before history")], ["Why", (each) => each.note],
    ]} />
    <${More} next=${next} more=${more} />`;
}
