// How often things are asked for: one request at a time, whatever happens meanwhile.
const LEAST = 200;
const PAUSE = 120;

// At most one reading is under way and one waits, however fast moments come: the last one that was wanted is read next.
export class Latest {
  constructor(reading, done) {
    this.reading = reading;
    this.done = done;
    this.wanted = null;
    this.busy = false;
    this.closed = false;
  }

  want(key) {
    this.wanted = key;
    if (!this.busy) this.run();
  }

  close() {
    this.closed = true;
    this.abort?.abort();
  }

  async run() {
    this.busy = true;
    while (this.wanted !== null && !this.closed) {
      const key = this.wanted;
      const began = performance.now();
      this.wanted = null;
      this.abort = new AbortController();
      let result;
      try { result = { told: await this.reading(key, this.abort.signal) }; } catch (problem) { result = { problem }; }
      if (this.closed) return;
      this.done(key, result);
      // Live, half of the time at most is spent reading.
      if (key.live) await new Promise((go) => setTimeout(go, Math.max(PAUSE, performance.now() - began)));
    }
    this.busy = false;
  }
}

// Again and again, and never while nobody looks at the page: `ask(signal)`, a promise that does not fail, begins every so
// many milliseconds. Returns what ends it.
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
