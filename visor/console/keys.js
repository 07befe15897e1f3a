// Single keys that mean something everywhere. Whoever speaks to the machine, or types by accident, can switch them off (WCAG 2.1.4).
import { useLayoutEffect } from "./vendor/hooks.mjs";

const NAME = "visor.shortcuts";
const maps = new Set();
let on = true;
try { on = localStorage.getItem(NAME) !== "off"; } catch { /* no storage: they are on */ }

export const enabled = () => on;

export function enable(yes) {
  on = yes;
  try { localStorage.setItem(NAME, yes ? "on" : "off"); } catch { /* for this tab, then */ }
}

export const typing = (target) => /^(input|textarea|select)$/i.test(target.tagName) || target.isContentEditable;
const pressing = (target) => /^(button|a|summary)$/i.test(target.tagName);

// What a key does, if anything. Escape is no character: it always works.
export function meaning(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key !== "Escape" && (!on || typing(event.target) || (event.key === " " && pressing(event.target)))) return null;
  for (const map of [...maps].reverse()) if (map[event.key]) return map[event.key];
  return null;
}

export function useShortcuts(map) {
  useLayoutEffect(() => {
    maps.add(map);
    return () => maps.delete(map);
  });
}
