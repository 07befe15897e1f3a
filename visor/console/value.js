// A value as JSON, text or bytes.
import { useState } from "./vendor/hooks.mjs";
import { html } from "./html.js";

const SHOWN = 16_384;
const LINES = 200_000;

export function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return null; }
}

export function bytesOf(told) {
  return told.value_base64 !== undefined
    ? Uint8Array.from(atob(told.value_base64), (each) => each.charCodeAt(0))
    : new TextEncoder().encode(told.value ?? "");
}

export function hex(bytes) {
  const rows = [];
  for (let place = 0; place < Math.min(bytes.length, SHOWN); place += 16) {
    const part = [...bytes.slice(place, place + 16)];
    const signs = part.map((each) => (each > 31 && each < 127 ? String.fromCharCode(each) : ".")).join("");
    rows.push(`${place.toString(16).padStart(6, "0")}  ${part.map((each) => each.toString(16).padStart(2, "0")).join(" ").padEnd(48)} ${signs}`);
  }
  return rows.join("\n") + (bytes.length > SHOWN ? `\n… and ${bytes.length - SHOWN} bytes more` : "");
}

// JSON in colours that say the same as its signs do.
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)/g;
function coloured(text) {
  const found = [];
  let place = 0;
  for (const part of text.matchAll(PARTS)) {
    found.push(text.slice(place, part.index));
    const kind = part[2] !== undefined ? "key" : part[1] !== undefined ? "string" : part[3] !== undefined ? "number" : "word";
    found.push(html`<span class=${"json " + kind}>${part[1] ?? part[0]}</span>`, part[2] ?? "");
    place = part.index + part[0].length;
  }
  found.push(text.slice(place));
  return found;
}

export function Value({ told }) {
  const json = told.value !== undefined ? pretty(told.value) : null;
  const forms = [json !== null && "JSON", told.value !== undefined && "Text", "Hex"].filter(Boolean);
  const [chosen, choose] = useState(null);
  const form = forms.includes(chosen) ? chosen : forms[0];
  const text = form === "JSON" ? json : form === "Text" ? told.value : hex(bytesOf(told));
  const shown = text.length > LINES ? text.slice(0, LINES) + "\n… the rest is in the download" : text;
  return html`
    <div class="forms group" role="group" aria-label="Form of the value">
      ${forms.map((each) => html`<button aria-pressed=${each === form} onClick=${() => choose(each)}>${each}</button>`)}
    </div>
    <pre class=${form === "Hex" ? "value hex" : "value"} tabindex="0" role="region" aria-label="Value">${shown === "" ? html`<i>empty</i>`
      : form === "JSON" && shown.length < 20_000 ? coloured(shown) : shown}</pre>`;
}
