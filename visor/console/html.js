// Elements without a compiler: html`<p>${text}</p>`. What is put in is text, never markup.
import { h } from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";

export const html = htm.bind(h);
