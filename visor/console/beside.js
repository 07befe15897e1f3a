// What stands beside a file: its lease with the time left, who holds a lock or waits for it, and who watches.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { html } from "./html.js";
import { poll } from "./poll.js";
import { Table } from "./table.js";
import { counted, lasting } from "./words.js";

const AGAIN = 5_000;

// What is read again every few seconds while it is looked at.
function useFollowed(where) {
  const [state, setState] = useState({});
  useEffect(() => {
    setState({});
    return poll((signal) => read(where, { signal }).then(
      (told) => setState({ told, since: Date.now() }), (problem) => problem.name === "AbortError" || setState({ problem }),
    ), AGAIN);
  }, [where]);
  return state;
}

export function Lease({ lease }) {
  const { told, since, problem } = useFollowed(url("leases", `/${lease}`));
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((number) => number + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = told ? Math.max(0, Math.ceil(told.left - (Date.now() - since) / 1000)) : null;
  return html`<div class="lease"><dt>Lease</dt><dd>${lease}${told ? html`, <span>${left ? `${lasting(left)} of ${lasting(told.ttl)} left` : "it ends now"}</span>
      <meter min="0" max=${told.ttl} value=${left} aria-label="Time that the lease has left"></meter>`
    : problem && html` <span class="soft">${problem.told?.status === 404 ? "has ended" : problem.message}</span>`}</dd></div>`;
}

export const contends = (entry) => /^[wr][0-9]+\.[0-9]+$/.test(entry);

export function Lock({ path }) {
  const { told } = useFollowed(url("locks", path));
  if (!told || !told.contenders) return null;
  const row = (one) => html`<li><code>${one.name}</code> ${one.value ? html`<b>${one.value}</b> ` : ""}<span class="soft">fence</span> ${one.fence}
    <span class="soft">lease</span> ${one.lease}${one.shared ? " shared" : ""}</li>`;
  return html`<section class="lock"><h3>Lock</h3>
    <p>${told.holders.length ? "Held by" : "Nobody holds it."}</p><ul>${told.holders.map(row)}</ul>
    ${told.waiting.length > 0 && html`<p>${told.waiting.length === 1 ? "One waits" : `${told.contenders - told.holders.length} wait`}, in this order</p><ol>${told.waiting.map(row)}</ol>`}</section>`;
}

const WATCHING = [
  ["Who", (one) => one.actor || "nobody"], ["From", (one) => one.peer], ["What", (one) => html`<code>${one.what}</code>`],
  ["How far", (one) => (one.behind ? html`<span class="problem">${counted(one.behind, "rev")} behind</span>` : "up to date")], ["At", (one) => one.node],
];

function Watchers({ path }) {
  const { told, problem } = useFollowed(url("watchers", path));
  if (problem) return html`<p class="hint">${problem.message}</p>`;
  if (!told) return html`<p class="hint">Asking every member…</p>`;
  return html`
    ${told.problems.map((each) => html`<p class="hint problem">${each}</p>`)}
    ${told.watchers.length ? html`<${Table} label="Who watches it" kind="blame" rows=${told.watchers} columns=${WATCHING} />`
      : html`<p class="hint">Nobody does.</p>`}
    ${told.more && html`<p class="hint">There are more than are shown.</p>`}`;
}

export function WhoWatches({ path }) {
  const [open, setOpen] = useState(false);
  return html`<details class="fold" onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>Who watches it</summary>${open && html`<${Watchers} path=${path} />`}</details>`;
}
