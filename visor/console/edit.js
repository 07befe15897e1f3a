// Changing a file: what would change is shown first, and what was seen is what is changed. Reverting: the same.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { post, read, url } from "./api.js";
import { Changes, Difference } from "./compare.js";
import { Dialog } from "./modal.js";
import { html } from "./html.js";
import { go } from "./route.js";

// Somebody was first: theirs, yours, and from which of them to go on.
function Conflict({ path, theirs, yours, takeTheirs, keepMine }) {
  return html`
    <div role="alert" class="conflict"><p class="problem">Somebody was first: <code>${path}</code> is not what you saw any more. Nothing was written.</p></div>
    ${theirs ? html`<p class="hint">Theirs: rev ${theirs.mod_rev}${theirs.actor ? ` by ${theirs.actor}` : ""}${theirs.note ? html`, <q>${theirs.note}</q>` : ""}</p>`
      : html`<p class="hint">Theirs: it was deleted.</p>`}
    <h3>From theirs to yours</h3>
    <${Difference} before=${theirs ? theirs.value ?? null : ""} after=${yours} />
    <div class="buttons"><button onClick=${takeTheirs}>Take theirs, and change that</button><button onClick=${keepMine}>Keep mine, upon theirs</button></div>`;
}

export function Edit({ told, close }) {
  const [base, setBase] = useState(told); // the version that was seen: what comes meanwhile is not what the guard asks for
  const [text, setText] = useState(told?.value ?? "");
  const [note, setNote] = useState("");
  const [dry, setDry] = useState(null);
  const [theirs, setTheirs] = useState(undefined);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const path = told.path;
  const guard = base.mod_rev ? { kind: "rev", path, rev: base.mod_rev } : { kind: "missing", path };
  const body = { if: [guard], then: [{ set: path, value: text, ...(base.lease ? { lease: base.lease } : {}) }], ...(note ? { note } : {}) };

  const conflict = async () => {
    setDry(null);
    try { setTheirs(await read(url("files", path))); } catch (error) {
      if (error.told?.code !== "not_found") throw error;
      setTheirs(null);
    }
  };
  const doing = (work) => async () => {
    setBusy(true);
    setProblem(null);
    try { await work(); } catch (error) { setProblem(error); }
    setBusy(false);
  };
  const rehearse = doing(async () => {
    const found = await post(url("txn", null, { dry_run: 1 }), body);
    if (found.succeeded) setDry(found); else await conflict();
  });
  const write = doing(async () => {
    const done = await post(url("txn", null), body);
    if (done.succeeded) close(); else await conflict();
  });
  const goOn = (from) => () => {
    setBase(from ?? { path, mod_rev: 0 });
    setTheirs(undefined);
  };
  const cancel = html`<button onClick=${close}>Cancel</button>`;
  if (theirs !== undefined) return html`
    <${Dialog} title=${"Change " + path} close=${close} problem=${problem} buttons=${cancel}>
      <${Conflict} path=${path} theirs=${theirs} yours=${text} takeTheirs=${() => { setText(theirs?.value ?? ""); goOn(theirs)(); }} keepMine=${goOn(theirs)} />
    </${Dialog}>`;
  if (dry) return html`
    <${Dialog} key="dry" title=${"Change " + path} close=${close} problem=${problem} buttons=${html`${cancel}<button onClick=${() => setDry(null)}>Back</button>
      <button class="main" disabled=${busy || !dry.changes.length} onClick=${write}>Write it</button>`}>
      <p class="hint">This is what it would do, only if <code>${path}</code> ${base.mod_rev ? `is still that of rev ${base.mod_rev}` : "is still missing"}${note ? html`. Why: <q>${note}</q>` : ""}</p>
      <${Changes} told=${dry} />
    </${Dialog}>`;
  return html`
    <${Dialog} key="text" title=${"Change " + path} close=${close} problem=${problem} buttons=${html`${cancel}<button class="main" disabled=${busy} onClick=${rehearse}>Show what would change</button>`}>
      <textarea aria-label="New value" rows="12" spellcheck="false" value=${text} onInput=${(event) => setText(event.currentTarget.value)}></textarea>
      <label>Why <input value=${note} maxlength="500" onInput=${(event) => setNote(event.currentTarget.value)} placeholder="kept in history" /></label>
      ${base.lease > 0 && html`<p class="hint">It stays with lease ${base.lease}.</p>`}
    </${Dialog}>`;
}

export function Revert({ path, to, close }) {
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
  const ready = dry?.changes.length > 0;
  return html`
    <${Dialog} title=${`Bring ${path} back to rev ${to}`} close=${close} problem=${problem}
      buttons=${html`<button onClick=${close}>Cancel</button><button class="main" disabled=${!ready} onClick=${act}>Revert</button>`}>
      ${ready && html`<p class="hint">One transaction, only if nothing of it has changed since rev ${dry.rev}:</p>`}
      ${dry ? html`<${Changes} told=${dry} />` : !problem && html`<p class="hint">Looking at what would change…</p>`}
    </${Dialog}>`;
}
