// Who is reached where, and whether something of ours runs there.
import { MARKS } from "./fleetdata.js";
import { html } from "./html.js";
import { fileAt, format } from "./route.js";
import { Table } from "./table.js";

// An address is well where an instance runs that has it; of others nothing is known.
function Health({ each, route }) {
  if (each.problem) return html`<span class="health"><span class="cell small failed" aria-hidden="true">✕</span> cannot be read: ${each.problem}</span>`;
  if (each.instance === null) return html`<span class="health soft"><span class="cell small unknown" aria-hidden="true">·</span> no instance has this address</span>`;
  return html`<span class="health"><span class=${"cell small " + each.state} aria-hidden="true">${MARKS[each.state]}</span> <a href=${format({ ...route, pick: each.instance })}>${each.state}</a></span>`;
}

const well = (rows) => rows.filter(({ state }) => state === "running").length;

function Score({ rows }) {
  const good = well(rows);
  const of = rows.filter(({ instance, problem }) => instance !== null || problem).length;
  if (!of) return html`<span class="soft">nothing known of ${rows.length === 1 ? "it" : "them"}</span>`;
  return html`<span class=${"score " + (good === of ? "good" : "bad")}><span aria-hidden="true">${good === of ? "✓" : "!"}</span> ${good} of ${rows.length} running</span>`;
}

export function Services({ told, route }) {
  if (!told.services.length) return html`
    <div class="empty"><h3>No service is registered</h3><p>A service is a name for the addresses where something can be had:</p>
      <pre>visor service register db${"\n"}visor service add db 10.0.0.7:5432</pre></div>`;
  return told.services.map(({ name }) => {
    const rows = told.endpoints.filter(({ service }) => service === name);
    return html`
      <section class="service" key=${name} aria-label=${name}>
        <h3><a href=${fileAt(`/services/${name}/service`, route.at)}>${name}</a> ${rows.length ? html`<${Score} rows=${rows} />` : html`<span class="soft">no endpoint</span>`}</h3>
        ${rows.length > 0 && html`<${Table} rows=${rows} columns=${[
          ["Endpoint", (each) => html`<code>${each.addr}</code>`], ["Health", (each) => html`<${Health} each=${each} route=${route} />`],
          ["Priority", (each) => each.priority, "number"], ["Weight", (each) => each.weight, "number"],
        ]} />`}
      </section>`;
  });
}

export function Views({ told, route }) {
  if (!told.views.length) return html`
    <div class="empty"><h3>Nobody is announced</h3><p>A program says where it is, for as long as it lives:</p>
      <pre>with visor.views.announce(client, "10.0.0.7", 9980): ...</pre></div>`;
  return html`
    <p><${Score} rows=${told.views} /></p>
    <${Table} rows=${told.views} columns=${[
      ["View", (each) => html`<a href=${fileAt(each.path, route.at)}><code>${each.name}</code></a>`],
      ["Health", (each) => html`<${Health} each=${each} route=${route} />`],
      ["Announced", (each) => (each.lease ? html`as long as it lives <span class="soft">(lease ${each.lease})</span>` : html`<b>for good</b> <span class="soft">(no lease)</span>`)],
      ["Says", (each) => [each.features && `features ${each.features.toString(2)}`, ...Object.entries(each.annotations ?? {}).map(([key, value]) => `${key}=${value}`)].filter(Boolean).join(", "), "soft"],
    ]} />`;
}
