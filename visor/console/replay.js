// Replay: the commits one after another, as far apart as they were, by so many times faster. What was long is shortened.
import { read, url } from "./api.js";

export const SPEEDS = [1, 10, 100];
const LONGEST = 800; // milliseconds that nothing happens
const TICK = 40;
const PAGE = 500;
const AHEAD = 200; // commits that are left when more are read

// When each commit is shown, in milliseconds from `begin`, where the one before them was at `before`. Pure.
export function timeline(commits, speed, begin = 0, before = null) {
  let place = begin, last = before;
  return commits.map((commit) => {
    const time = Date.parse(commit.time);
    place += last === null ? 0 : Math.min(LONGEST, Math.max(0, time - last) / speed);
    last = time;
    return place;
  });
}

// How many of them are to be seen at a time. Pure.
export function reached(times, clock) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= clock) low = middle + 1; else high = middle;
  }
  return low;
}

export class Player {
  // show(rev): go there; end(atEnd): it has stopped, at the end or because somebody wanted.
  constructor(show, end) {
    this.show = show;
    this.end = end;
    this.playing = false;
  }

  start(rev, speed) {
    this.stop();
    this.playing = true;
    this.run(rev, speed, (this.turn = {}));
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.turn = null;
    this.end(false);
  }

  async run(rev, speed, turn) {
    let commits = [], times = [], more = true, reading = null, last = null, first = rev + 1;
    const fetch_ = async () => {
      const page = await read(url("commits", null, { from: first, limit: PAGE }));
      const found = timeline(page.items, speed, times.length ? times[times.length - 1] : 0, last);
      commits = commits.concat(page.items.map((each) => each.rev));
      times = times.concat(found);
      more = page.next !== null && page.items.length > 0;
      if (page.items.length) {
        first = page.items[page.items.length - 1].rev + 1;
        last = Date.parse(page.items[page.items.length - 1].time);
      }
      reading = null;
    };
    try {
      await fetch_();
      const began = performance.now();
      for (let shown = 0; this.turn === turn; ) {
        const now = reached(times, performance.now() - began);
        if (now > shown) this.show(commits[now - 1]);
        shown = now;
        if (more && !reading && times.length - shown < AHEAD) reading = fetch_();
        if (shown === times.length) {
          if (!more) break;
          await reading;
          continue;
        }
        await new Promise((done) => setTimeout(done, TICK));
      }
      if (this.turn !== turn) return;
      this.playing = false;
      this.end(true);
    } catch {
      if (this.turn === turn) this.stop();
    }
  }
}
