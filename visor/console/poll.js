// Asks again and again: one request at a time, and none while nobody looks at the page. Returns what ends it.
const LEAST = 200;

// `ask(signal)` is a promise that does not fail; it begins every so many milliseconds.
export function poll(ask, every) {
  let ended = false, timer = 0, abort = null;
  const once = async () => {
    timer = 0;
    if (document.hidden || abort) return;
    abort = new AbortController();
    const began = Date.now();
    await ask(abort.signal);
    abort = null;
    if (!ended) timer = setTimeout(once, Math.max(LEAST, every - (Date.now() - began)));
  };
  const onSight = () => { if (!document.hidden && !timer) once(); };
  document.addEventListener("visibilitychange", onSight);
  once();
  return () => {
    ended = true;
    clearTimeout(timer);
    abort?.abort();
    document.removeEventListener("visibilitychange", onSight);
  };
}
