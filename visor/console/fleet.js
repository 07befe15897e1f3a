// The fleet: what runs where.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { html } from "./html.js";

export function Fleet({ route, latest }) {
  const [told, setTold] = useState(null);
  const at = route.at ?? latest;
  useEffect(() => {
    if (!at) return;
    const abort = new AbortController();
    read(url("apps", null, { at }), { signal: abort.signal }).then(setTold, () => {});
    return () => abort.abort();
  }, [at]);
  return html`
    <section class="fleet" aria-label="Fleet">
      <h2>Fleet</h2>
      ${told && html`<ul>${told.apps.map((app) => html`<li key=${app.name}>${app.name}</li>`)}</ul>`}
    </section>`;
}
