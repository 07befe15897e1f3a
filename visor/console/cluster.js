// The cluster: its members, and how they are.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { html } from "./html.js";

export function Cluster({ latest }) {
  const [told, setTold] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    read(url("cluster", null), { signal: abort.signal }).then(setTold, () => {});
    return () => abort.abort();
  }, [latest]);
  return html`
    <section class="cluster" aria-label="Cluster">
      <h2>Cluster</h2>
      ${told && html`<ul>${told.members.map((member) => html`<li key=${member.id}>${member.name ?? member.id}</li>`)}</ul>`}
    </section>`;
}
