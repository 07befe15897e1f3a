// All about one instance: what it is now, how it came to that, and which files it is.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { MARKS, words } from "./fleetdata.js";
import { html } from "./html.js";
import { fileAt, format, go } from "./route.js";
import { ago, when } from "./words.js";

// What was written when, the newest first: the state in each version of its record.
function steps(items) {
  return items.map((commit) => {
    const change = commit.changes[0];
    let record = {};
    try { record = JSON.parse(change?.value ?? "{}"); } catch { /* damaged: shown as it is, without a state */ }
    const gone = change?.kind === "delete" || change?.kind === "expire";
    return { rev: commit.rev, time: commit.time, actor: commit.actor, state: gone ? "gone" : record.state ?? "pending", host: record.host };
  });
}

function useInstance(id, at, rev, version) {
  const [state, setState] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    (async () => {
      const told = await read(url("instances", "/" + id, { at: rev }), { signal });
      const path = told.files.find((each) => each.includes("/instances/"));
      const past = await read(url("history", path, { reverse: 1, limit: 20, values: 1, at: rev }), { signal })
        .catch((problem) => { if (problem.name === "AbortError") throw problem; return null; });
      setState({ id, told, path, steps: past && steps(past.items) });
    })().catch((problem) => problem.name !== "AbortError" && setState({ id, problem }));
    return () => abort.abort();
  }, [id, version, at]);
  return state.id === id ? state : {};
}

const fact = (name, value) => (value || value === 0) && html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

function Facts({ told, route, now }) {
  const time = (text) => text && html`<time datetime=${text} title=${when(text)}>${ago(text, now)} ago</time>`;
  const last = told.claims?.[told.claims.length - 1];
  const restarts = (told.fails ?? 0) + (told.ooms ?? 0);
  return html`
    <dl class="facts">
      ${fact("App", html`<a href=${format({ ...route, path: "/apps/" + told.app })}>${told.app}</a>`)}
      ${fact("Revision", told.revision)}${fact("Process", told.proc)}${fact("Environment", told.env)}
      ${fact("Host", told.host && html`<a href=${format({ ...route, path: "/hosts/" + told.host })}>${told.host}</a>`)}
      ${fact("Address", told.ip && told.port && `${told.ip}:${told.port}`)}${fact("Name", told.hostname)}
      ${fact("Registered", time(told.registered))}${fact("Claimed", told.host && last && time(last[1]))}
      ${fact("Claims", told.claim > 1 && told.claim)}${fact("Restarts", restarts > 0 && `${restarts}${told.ooms ? `, ${told.ooms} out of memory` : ""}`)}
      ${fact("Lease", told.lease)}
      ${told.lock && fact("Locked", `by ${told.lock[0]}${told.lock[1] ? ": " + told.lock[1] : ""}`)}
    </dl>
    ${told.end && html`<p class="ended"><b>${told.end[1] || told.state}</b> <span class="soft">by ${told.end[0]}${told.end[2] ? `, ${ago(told.end[2], now)} ago` : ""}</span></p>`}`;
}

export function Instance({ id, route, rev, version, now }) {
  const { told, steps: past, problem } = useInstance(id, route.at, rev, version);
  return html`
    <article class="instance" aria-label=${"Instance " + id}>
      <header class="titled"><h3>Instance ${id}</h3>
        <button class="link" onClick=${() => go({ pick: null })} aria-label="Close" title="Close (Esc)">✕</button></header>
      ${problem && html`<p class="hint">${problem.told?.status === 404 || problem.told?.status === 409 ? "It is not there at this rev: not registered yet, or no more." : problem.message}</p>`}
      ${told && html`
        <p class="lead"><span class=${"cell " + told.state} aria-hidden="true">${MARKS[told.state]}</span><b>${told.state}</b> <span class="soft">${told.app} ${words(told)}</span></p>
        <${Facts} told=${told} route=${route} now=${now} />
        ${past && html`<h4>How it came here</h4>
          <ol class="steps">${past.map((each) => html`
            <li key=${each.rev}><span class=${"cell small " + each.state} aria-hidden="true">${MARKS[each.state] ?? "−"}</span>
              <span>${each.state === "gone" ? "unregistered" : each.state}${each.host ? html` <span class="soft">on ${each.host}</span>` : ""}</span>
              <a class="soft" href=${format({ ...route, at: each.rev })} title=${`${when(each.time)}, by ${each.actor}`}>rev ${each.rev}</a></li>`)}</ol>`}
        <h4>Its files</h4>
        <ul class="files">${told.files.map((path) => html`<li key=${path}><a href=${fileAt(path, route.at)}>${path}</a></li>`)}</ul>`}
    </article>`;
}
