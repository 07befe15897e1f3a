// What is to be done: who is to do it, and for how long it has been waiting.
import { ago, counted, words } from "./fleetdata.js";
import { html } from "./html.js";
import { format } from "./route.js";

const MOST = 300;

function Rows({ tickets, route, now }) {
  return html`
    <div class="scroller"><table class="rows">
      <thead><tr><th>Order</th><th>For</th><th>Id</th><th>Host</th><th class="number">Age</th></tr></thead>
      <tbody>${tickets.slice(0, MOST).map((each) => html`
        <tr key=${each.id} class=${each.id === route.pick ? "here" : ""}>
          <td><span class=${"cell small " + (each.op === "stop" ? "stopping" : each.status === "claimed" ? "claimed" : "pending")} aria-hidden="true">${each.op === "stop" ? "↓" : "↑"}</span> ${each.op}</td>
          <td><a href=${format({ ...route, path: "/apps/" + each.app, pick: null })}>${each.app}</a> <span class="soft">${words(each)}</span></td>
          <td>${each.instance ? html`<a href=${format({ ...route, pick: each.id })}>${each.id}</a>` : each.id}</td>
          <td>${each.host ? html`<a href=${format({ ...route, path: "/hosts/" + each.host, pick: null })}>${each.host}</a>` : html`<span class="soft">nobody yet</span>`}</td>
          <td class="number">${each.since ? ago(each.since, now) : html`<span class="soft" title="Since when an instance is to stop is not written down">—</span>`}</td>
        </tr>`)}</tbody>
    </table></div>
    ${tickets.length > MOST && html`<p class="hint">and ${counted(tickets.length - MOST, "ticket")} more: <code>visor ticket ls</code> shows all</p>`}`;
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
