// One path: what is there, or was; what stands beside it, its history, and changing it.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { download, read, url } from "./api.js";
import { contends, Lease, Lock, WhoWatches } from "./beside.js";
import { Edit, Revert } from "./edit.js";
import { Blame, History } from "./history.js";
import { html } from "./html.js";
import { go, name, parent } from "./route.js";
import { useMay } from "./signin.js";
import { Value } from "./value.js";
import { bytes, counted, when } from "./words.js";

function Copy({ path }) {
  const [done, setDone] = useState(false);
  const copy = () => navigator.clipboard?.writeText(path).then(() => {
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  }, () => {});
  return html`<button class="link" onClick=${copy} title="Copy the path (c)" aria-label="Copy the path"><span role="status">${done ? "copied" : "copy"}</span></button>`;
}

// Who deleted it, when and why; and its last value, one step away.
function Gone({ path, at }) {
  const [last, setLast] = useState(undefined);
  useEffect(() => {
    let over = false;
    read(url("history", path, { reverse: 1, limit: 1, to: at })).then((page) => over || setLast(page.items[0] ?? null), () => over || setLast(null));
    return () => { over = true; };
  }, [path, at]);
  if (last === undefined) return html`<p class="hint">…</p>`;
  if (last === null) return html`<p class="hint">There is nothing at this path at rev ${at}, and history knows of nothing before.</p>`;
  const kind = last.changes.find((each) => each.path === path)?.kind;
  const why = kind === "expire" ? "It went when its lease ended" : "It was deleted";
  return html`<div class="gone"><p><b>${why}</b> at rev ${last.rev}, ${when(last.time)}, by ${last.actor || "nobody"}${last.note ? html`: <q>${last.note}</q>` : "."}</p>
    <button class="main" onClick=${() => go({ at: last.rev - 1 })}>Show its last value</button></div>`;
}

function Facts({ told, live }) {
  return html`
    <dl class="facts">
      <div><dt>Changed</dt><dd>${told.time ? html`<time datetime=${told.time}>${when(told.time)}</time>` : "before history begins"}</dd></div>
      <div><dt>By</dt><dd>${told.actor || "—"}</dd></div>
      <div><dt>Rev</dt><dd>${told.mod_rev}</dd></div>
      <div><dt>Created</dt><dd>${told.created === told.mod_rev ? "then" : html`<button class="link" onClick=${() => go({ at: told.created })}>rev ${told.created}</button>`}</dd></div>
      <div><dt>Writes</dt><dd>${told.count}</dd></div>
      <div><dt>Size</dt><dd>${bytes(told.size)}</dd></div>
      ${told.lease > 0 && (live ? html`<${Lease} lease=${told.lease} />` : html`<div><dt>Lease</dt><dd>${told.lease}</dd></div>`)}
      ${told.note && html`<div class="why"><dt>Why</dt><dd><q>${told.note}</q></dd></div>`}
    </dl>`;
}

function Past({ route, file, rev, version }) {
  const directory = file.kind === "directory";
  const [chosen, choose] = useState("History");
  const tabs = directory ? ["History", "Who changed what"] : ["History"];
  const tab = tabs.includes(chosen) ? chosen : tabs[0];
  return html`
    <div class="tabs">${directory ? html`<span class="group" role="group" aria-label="The past">${tabs.map((each) => html`<button aria-pressed=${each === tab} onClick=${() => choose(each)}>${each}</button>`)}</span>`
      : html`<h3>History</h3>`}
      <span class="soft"><kbd>[</kbd> <kbd>]</kbd> go from change to change</span></div>
    ${tab === "History" ? html`<${History} route=${route} version=${version} current=${file.told?.mod_rev} />`
      : html`<${Blame} path=${route.path} at=${rev} version=${0} />`}`;
}

// A lock is a directory with contenders in it; one of them is selected, or the directory.
function lockAt(file, moment) {
  if (file.kind === "file" && contends(name(file.path))) return parent(file.path);
  return [...moment.tree.rows.values()].some((row) => parent(row.path) === file.path && contends(row.name)) ? file.path : null;
}

export function File({ route, moment, version }) {
  const [dialog, setDialog] = useState(null);
  const { path } = route;
  const may = useMay(path, moment.file?.kind === "directory");
  // What is on the screen counts, and not what was asked for: a revert is to the rev that somebody sees.
  const { file, live, rev } = moment;
  useEffect(() => setDialog(null), [path]);
  if (!file || file.path !== path) return html`<article class="file" aria-label=${path} aria-busy="true"><h2>${path}</h2></article>`;
  const told = file.kind === "file" ? file.told : null;
  const close = () => setDialog(null);
  const lock = live ? lockAt(file, moment) : null;
  const crumbs = path.split("/").filter(Boolean);
  return html`
    <article class="file" aria-label=${path} tabindex="-1">
      <div class="title"><h2>${path === "/" ? "/" : crumbs.map((each, place) => html`<span class="soft">/</span>${place < crumbs.length - 1
        ? html`<button class="crumb" onClick=${() => go({ path: "/" + crumbs.slice(0, place + 1).join("/") })}>${each}</button>` : each}`)}</h2>${path !== "/" && html`<${Copy} path=${path} />`}</div>
      ${file.kind === "missing" && html`<${Gone} path=${path} at=${rev} />`}
      ${file.kind === "refused" && html`<p class="hint problem">${file.problem.message}</p>`}
      ${file.kind === "directory" && file.told && html`<p class="hint">A directory of ${counted(file.told.size, "entry", "entries")}, changed last at rev ${file.told.mod_rev}.</p>`}
      ${told && html`<${Facts} told=${told} live=${live} /><${Value} told=${told} />`}
      <div class="buttons">
        ${told && live && told.value !== undefined && may.write && html`<button onClick=${() => setDialog({ edit: told })}>Change</button>`}
        ${!live && file.kind !== "refused" && may.write && may.history && html`<button onClick=${() => setDialog({ revert: rev })}>Revert to this</button>`}
        ${told && html`<button onClick=${() => download(url("files", path, { at: live ? null : rev }), name(path)).catch(() => {})}>Download</button>`}
      </div>
      ${lock && html`<${Lock} path=${lock} />`}
      ${live && file.kind !== "missing" && path !== "/" && html`<${WhoWatches} path=${path} key=${path} />`}
      <${Past} route=${route} file=${file} rev=${rev} version=${version} />
      ${dialog?.edit && html`<${Edit} told=${dialog.edit} close=${close} />`}
      ${dialog?.revert && html`<${Revert} path=${path} to=${dialog.revert} close=${close} />`}
    </article>`;
}
