// One file: its value, its history, what differs, and changing it under guard.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { download, post, read, url } from "./api.js";
import { lines } from "./diff.js";
import { html } from "./html.js";
import { go, name } from "./route.js";
import { useMay } from "./signin.js";
import { when } from "./slider.js";

const textOf = (version) => version?.value ?? null;

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return null; }
}

function hex(told) {
  const bytes = told.value_base64 !== undefined
    ? Uint8Array.from(atob(told.value_base64), (each) => each.charCodeAt(0))
    : new TextEncoder().encode(told.value ?? "");
  const rows = [];
  for (let place = 0; place < Math.min(bytes.length, 16384); place += 16) {
    const part = [...bytes.slice(place, place + 16)];
    const signs = part.map((each) => (each > 31 && each < 127 ? String.fromCharCode(each) : ".")).join("");
    rows.push(`${place.toString(16).padStart(6, "0")}  ${part.map((each) => each.toString(16).padStart(2, "0")).join(" ").padEnd(48)} ${signs}`);
  }
  return rows.join("\n");
}

function useRead(where, version) {
  const [state, setState] = useState({});
  useEffect(() => {
    if (where === null) return setState({});
    const abort = new AbortController();
    read(where, { signal: abort.signal }).then(
      (told) => setState({ told }),
      (error) => error.name !== "AbortError" && setState({ problem: error }),
    );
    return () => abort.abort();
  }, [where, version]);
  return state;
}

function Value({ told }) {
  const json = told.value !== undefined ? pretty(told.value) : null;
  const forms = [json !== null && "JSON", told.value !== undefined && "Text", "Hex"].filter(Boolean);
  const [chosen, choose] = useState(null);
  const form = forms.includes(chosen) ? chosen : forms[0];
  const shown = form === "JSON" ? json : form === "Text" ? told.value : hex(told);
  return html`
    <div class="forms" role="group" aria-label="Form of the value">
      ${forms.map((each) => html`<button aria-pressed=${each === form} onClick=${() => choose(each)}>${each}</button>`)}
    </div>
    <pre class="value" tabindex="0" aria-label="Value">${shown === "" ? html`<i>empty</i>` : shown}</pre>`;
}

function Difference({ before, after }) {
  if (before === null || after === null) return html`<p class="hint">One of the two is no text.</p>`;
  const marks = { more: "+", less: "−", same: " ", note: " " };
  return html`<pre class="diff" tabindex="0" aria-label="What differs">${lines(before, after).map((each) => html`
    <div class=${each.kind}>${marks[each.kind]} ${each.text}</div>`)}</pre>`;
}

function Changes({ changes }) {
  if (!changes.length) return html`<p class="hint">Nothing would change.</p>`;
  return changes.map((each) => html`
    <section key=${each.path}><h4>${each.kind} <code>${each.path}</code></h4>
      <${Difference} before=${each.before ? textOf(each.before) : ""} after=${each.after ? textOf(each.after) : ""} /></section>`);
}

function Dialog({ title, children, doing, act, close, problem }) {
  return html`
    <div class="veil" onKeyDown=${(event) => event.key === "Escape" && close()}>
      <div role="dialog" aria-modal="true" aria-label=${title} class="dialog">
        <h3>${title}</h3>${children}
        ${problem && html`<p role="alert" class="problem">${problem.message}</p>`}
        <div class="buttons"><button onClick=${close}>Cancel</button>${act && html`<button class="main" onClick=${act}>${doing}</button>`}</div>
      </div>
    </div>`;
}

function Edit({ told: latest, close }) {
  // The version that was seen when it was opened: what comes meanwhile must not become what the guard asks for.
  const [told] = useState(latest);
  const [text, setText] = useState(told.value);
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState(null);
  const act = async () => {
    const body = { if: [{ kind: "rev", path: told.path, rev: told.mod_rev }], then: [{ set: told.path, value: text }] };
    try {
      if (note) body.note = note;
      const done = await post(url("txn", null), body);
      if (!done.succeeded) throw new Error("Somebody else has changed it meanwhile: look at what is there now.");
      close();
    } catch (error) { setProblem(error); }
  };
  return html`
    <${Dialog} title=${"Change " + told.path} doing="Write it" act=${act} close=${close} problem=${problem}>
      <textarea aria-label="New value" rows="10" value=${text} onInput=${(event) => setText(event.currentTarget.value)}></textarea>
      <label>Why <input value=${note} onInput=${(event) => setNote(event.currentTarget.value)} placeholder="kept in history" /></label>
      ${latest.mod_rev !== told.mod_rev && html`<p role="status" class="problem">It was changed meanwhile, at rev ${latest.mod_rev}.</p>`}
      <h4>What changes</h4><${Difference} before=${told.value} after=${text} />
    </${Dialog}>`;
}

function Revert({ path, to, close }) {
  const [dry, setDry] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => { post(url("revert", null, { dry_run: 1 }), { path, to }).then(setDry, setProblem); }, []);
  const act = async () => {
    try {
      await post(url("revert", null), { path, to, since: dry.rev, note: `back to rev ${to}` });
      close();
      go({ at: null });
    } catch (error) { setProblem(error); }
  };
  return html`
    <${Dialog} title=${`Bring ${path} back to rev ${to}`} doing="Revert" act=${dry?.changes.length ? act : null} close=${close} problem=${problem}>
      ${dry ? html`<${Changes} changes=${dry.changes} />` : html`<p class="hint">Looking at what would change…</p>`}
    </${Dialog}>`;
}

export function File({ route, version, kind }) {
  const { path, at } = route;
  const isFile = kind !== "directory" && path !== "/";
  const may = useMay(path, !isFile);
  const value = useRead(isFile ? url("files", path, { at }) : null, version);
  const past = useRead(url("history", path, { reverse: 1, limit: 50, values: isFile ? 1 : 0, previous: isFile ? 1 : 0 }), version);
  const [dialog, setDialog] = useState(null);
  const [shown, setShown] = useState(null);
  const close = () => setDialog(null);
  useEffect(() => { setShown(null); setDialog(null); }, [path]);
  const told = value.told;
  const items = past.told?.items ?? [];
  const own = (commit) => commit.changes.find((each) => each.path === path);

  return html`
    <article class="file" aria-label=${path}>
      <h2>${path}</h2>
      ${value.problem && html`<p class="hint">${value.problem.told?.status === 404 ? "There is no such file at this rev." : value.problem.message}</p>`}
      ${told && html`
        <dl class="facts">
          <div><dt>Changed</dt><dd>${told.time ? when(told.time) : "before history begins"}</dd></div>
          <div><dt>By</dt><dd>${told.actor ?? "—"}</dd></div>
          ${told.note && html`<div><dt>Why</dt><dd>${told.note}</dd></div>`}
          <div><dt>Rev</dt><dd>${told.mod_rev}</dd></div>
          <div><dt>Writes</dt><dd>${told.count}</dd></div>
          <div><dt>Size</dt><dd>${told.size} B</dd></div>
          ${told.lease > 0 && html`<div><dt>Lease</dt><dd>${told.lease}</dd></div>`}
        </dl>
        <${Value} told=${told} />`}
      <div class="buttons">
        ${told && at === null && told.value !== undefined && may.write && html`<button onClick=${() => setDialog("edit")}>Change</button>`}
        ${at !== null && may.write && may.history && html`<button onClick=${() => setDialog("revert")}>Revert to this</button>`}
        ${told && html`<button onClick=${() => download(url("files", path, { at }), name(path))}>Download</button>`}
      </div>
      <h3>History</h3>
      ${past.problem && html`<p class="hint">${past.problem.message}</p>`}
      <ol class="history">
        ${items.map((commit) => html`
          <li key=${commit.rev} class=${commit.rev === (told?.mod_rev ?? at) ? "here" : ""}>
            <button class="link" onClick=${() => go({ at: commit.rev })} aria-label=${"Look at rev " + commit.rev}>rev ${commit.rev}</button>
            <span>${when(commit.time)}</span><span>${commit.actor}</span>
            <span class="kind">${own(commit)?.kind ?? commit.changes.length + " changes"}</span>
            ${isFile && own(commit) && html`<button class="link" aria-expanded=${shown === commit.rev}
              onClick=${() => setShown(shown === commit.rev ? null : commit.rev)}>what changed</button>`}
            ${commit.note && html`<q>${commit.note}</q>`}
            ${shown === commit.rev && html`<${Difference} before=${own(commit).previous ? textOf(own(commit).previous) : ""}
              after=${own(commit).kind === "delete" || own(commit).kind === "expire" ? "" : textOf(own(commit))} />`}
          </li>`)}
      </ol>
      ${dialog === "edit" && html`<${Edit} told=${told} close=${close} />`}
      ${dialog === "revert" && html`<${Revert} path=${path} to=${at} close=${close} />`}
    </article>`;
}
