// What is to be done: who is to do it, and for how long it has been waiting.
import { words } from "./fleetdata.js";
import { html } from "./html.js";
import { format } from "./route.js";
import { Table } from "./table.js";
import { ago } from "./words.js";

const MARK = { stop: ["stopping", "↓"], claimed: ["claimed", "↑"] };

function Rows({ tickets, route, now }) {
  const order = ({ op, status }) => {
    const [kind, sign] = MARK[op] ?? MARK[status] ?? ["pending", "↑"];
    return html`<span class=${"cell small " + kind} aria-hidden="true">${sign}</span> ${op}`;
  };
  const to = (path, name) => html`<a href=${format({ ...route, path, pick: null })}>${name}</a>`;
  return html`<${Table} rows=${tickets} here=${({ id }) => id === route.pick} columns=${[
    ["Order", order],
    ["For", (each) => html`${to("/apps/" + each.app, each.app)} <span class="soft">${words(each)}</span>`],
    ["Id", (each) => (each.instance ? html`<a href=${format({ ...route, pick: each.id })}>${each.id}</a>` : each.id)],
    ["Host", ({ host }) => (host ? to("/hosts/" + host, host) : html`<span class="soft">nobody yet</span>`)],
    ["Age", ({ since }) => (since ? ago(since, now) : html`<span class="soft" title="Since when an instance is to stop is not written down">—</span>`), "number"],
  ]} />`;
}

export function Tickets({ told, route, now, host = null }) {
  if (host) return html`
    <section aria-label="Tickets of the host"><h3>To do here</h3>
      <${Rows} tickets=${told.tickets.filter((each) => each.host === host)} route=${route} now=${now} /></section>`;
  const open = told.tickets.filter(({ status }) => status === "unclaimed");
  const claimed = told.tickets.filter(({ status }) => status !== "unclaimed");
  if (!told.tickets.length) return html`
    <div class="empty"><h3>Nothing is to be done</h3><p>A ticket is there for whatever is to be started or stopped, until a host has done it. <code>visor scale APP REVISION PROC N</code> makes some.</p></div>`;
  return html`
    <section aria-label="Open tickets"><h3>Open <small>${open.length}</small></h3>
      ${open.length ? html`<${Rows} tickets=${open} route=${route} now=${now} />` : html`<p class="hint">All are claimed.</p>`}</section>
    <section aria-label="Claimed tickets"><h3>Claimed <small>${claimed.length}</small></h3>
      ${claimed.length ? html`<${Rows} tickets=${claimed} route=${route} now=${now} />` : html`<p class="hint">No host is at work on any.</p>`}</section>`;
}
