// A table: columns are [heading, what stands in a cell, its class]; `here` says of a row that it is the one looked at.
import { html } from "./html.js";

const MOST = 300;

export function Table({ columns, rows, label, kind = "rows", here }) {
  const scrolls = label ? { role: "region", "aria-label": label, tabindex: 0 } : {};
  return html`
    <div class="scroller" ...${scrolls}><table class=${kind}>
      <thead><tr>${columns.map(([name, , of]) => (name ? html`<th scope="col" class=${of}>${name}</th>` : html`<td></td>`))}</tr></thead>
      <tbody>${rows.slice(0, MOST).map((row, place) => html`
        <tr key=${row.key ?? row.id ?? row.path ?? place} class=${here?.(row) ? "here" : null}>${columns.map(([name, cell, of]) => html`<td class=${of} data-label=${name}>${cell(row)}</td>`)}</tr>`)}</tbody>
    </table></div>
    ${rows.length > MOST && html`<p class="hint">and ${rows.length - MOST} more</p>`}`;
}
