// A dialog of the browser's own: the focus stays in it, Escape closes it, and goes back to where it was.
import { useEffect, useRef } from "./vendor/hooks.mjs";
import { html } from "./html.js";

export function Modal({ title, close, children }) {
  const place = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    place.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`
    <dialog class="modal" aria-label=${title} ref=${place} onClose=${close}
            onClick=${(event) => event.target === place.current && place.current.close()}
            onKeyDown=${(event) => event.stopPropagation()}>
      <div class="inside"><h3>${title}</h3>${children}</div>
    </dialog>`;
}

// One that is answered by buttons; what went wrong stands above them.
export function Dialog({ title, close, children, buttons, problem }) {
  return html`
    <${Modal} title=${title} close=${close}>${children}
      ${problem && html`<p role="alert" class="problem">${problem.message}</p>`}
      <div class="buttons">${buttons}</div>
    </${Modal}>`;
}
