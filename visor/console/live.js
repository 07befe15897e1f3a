// One stream of what changes: it goes on by its id, and says how it stands.
import { ask, Problem, url } from "./api.js";

// What the one stream says, for whichever screen is there: screens come and go, the stream stays.
export class Feed {
  constructor() {
    this.listeners = new Set();
  }

  // Returns what ends it. `listener(name, data)`: "anew" (read everything again), "commit", "mark".
  listen(listener) {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  }

  tell(name, data) {
    this.listeners.forEach((listener) => listener(name, data));
  }
}

const PAUSES = [1, 2, 3, 5, 8, 10];

export class Live {
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.last = null;
    this.ended = false;
    this.failed = 0;
    this.run();
  }

  close() {
    this.ended = true;
    this.wake?.();
    this.abort?.abort();
  }

  retry() {
    this.wake?.();
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
          this.onEvent("anew", {});
          continue;
        }
        if (told.status === 401 || told.status === 403) {
          this.onState({ kind: "refused", text: told.detail });
          return;
        }
      }
      await this.pause();
    }
  }

  async pause() {
    let left = PAUSES[Math.min(this.failed++, PAUSES.length - 1)];
    while (left > 0 && !this.ended) {
      this.onState({ kind: "waiting", seconds: left });
      const now = await new Promise((done) => {
        const timer = setTimeout(() => done(false), 1000);
        this.wake = () => { clearTimeout(timer); done(true); };
      });
      left = now ? 0 : left - 1;
    }
  }

  async once() {
    this.onState({ kind: "connecting" });
    this.abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.last) headers["Last-Event-ID"] = this.last;
    const answer = await ask(url("watch", null, { values: 0, granted: 1 }), { headers, signal: this.abort.signal });
    this.onState({ kind: "live" });
    if (!this.last) this.onEvent("anew", {});
    this.failed = 0;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
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
