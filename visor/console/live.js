// One stream of what changes: it goes on by its id, and says how it stands.
import { ask, Problem, url } from "./api.js";

const PAUSES = [1, 2, 3, 5, 8, 10];
const SILENT = 40_000; // the gateway says something every fifteen seconds
const LOOK = 2_000;
const ASLEEP = 10_000;

// What the stream says, for whichever screen is there: `feed.listen((name, data) => ...)` gives what ends that.
export class Feed {
  constructor() {
    this.listeners = new Set();
    this.begun = null;
  }

  // Who comes late is told that all is to be read, as those were who were there; `informed`: it has.
  listen(listener, informed = false) {
    this.listeners.add(listener);
    if (this.begun && !informed) listener("anew", this.begun);
    return () => this.listeners.delete(listener);
  }

  tell(name, data) {
    if (name === "anew") this.begun = data;
    this.listeners.forEach((listener) => listener(name, data));
  }
}

export class Live {
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.last = null;
    this.ended = false;
    this.failed = 0;
    this.heard = this.looked = Date.now();
    this.guard = setInterval(() => this.look(), LOOK);
    this.woken = () => this.retry();
    addEventListener("online", this.woken);
    this.run();
  }

  close() {
    this.ended = true;
    clearInterval(this.guard);
    removeEventListener("online", this.woken);
    this.wake?.();
    this.abort?.abort();
  }

  retry() {
    this.failed = 0;
    this.wake?.();
  }

  // A machine that slept has a connection that nobody knows any more: it is not waited for.
  look(now = Date.now()) {
    const slept = now - this.looked > ASLEEP;
    this.looked = now;
    if (slept || (this.open && now - this.heard > SILENT)) {
      this.heard = now;
      this.failed = 0;
      this.hurry = true;
      this.wake?.();
      this.abort?.abort();
    }
  }

  async run() {
    while (!this.ended) {
      try {
        await this.once();
      } catch (error) {
        if (this.ended) return;
        const told = error instanceof Problem ? error.told : { status: 0 };
        if (told.status === 409 || told.status === 410) {
          this.last = null;
          this.onEvent("anew", { why: told.status === 410 ? "compacted" : "restored" });
          continue;
        }
        if (told.status === 401 || told.status === 403) {
          clearInterval(this.guard);
          this.onState({ kind: "refused", text: told.detail });
          return;
        }
      } finally {
        this.open = false;
      }
      if (!this.hurry) await this.pause();
      this.hurry = false;
    }
  }

  async pause() {
    const until = Date.now() + 1000 * PAUSES[Math.min(this.failed++, PAUSES.length - 1)];
    for (let left; !this.ended && (left = until - Date.now()) > 0; ) {
      this.onState({ kind: "waiting", seconds: Math.ceil(left / 1000) });
      const now = await new Promise((done) => {
        const timer = setTimeout(() => done(false), Math.min(left, 1000));
        this.wake = () => { clearTimeout(timer); done(true); };
      });
      if (now) return;
    }
  }

  async once() {
    this.onState({ kind: "connecting" });
    this.abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.last) headers["Last-Event-ID"] = this.last;
    const answer = await ask(url("watch", null, { values: 0, granted: 1 }), { headers, signal: this.abort.signal });
    this.open = true;
    this.heard = Date.now();
    this.onState({ kind: "live" });
    if (!this.last) this.onEvent("anew", {});
    this.failed = 0;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.heard = Date.now();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach((block) => this.take(block));
    }
  }

  take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const place = line.indexOf(": ");
      if (place > 0) fields[line.slice(0, place)] = line.slice(place + 2);
    }
    if (!fields.event) return;
    if (fields.id) this.last = fields.id;
    this.onEvent(fields.event, JSON.parse(fields.data));
  }
}
