// The moment that is looked at: all that is on the screen is of one rev, and comes there in one go.
//
// One look is under way at a time, and one waits, the latest: however fast somebody drags, whatever comes back is drawn, and
// what was dragged past is never asked for. Only rows that can be seen are read.
import { read, steady, url } from "./api.js";
import { Directory, full, layout, slots, visible } from "./rows.js";
import { name, parent } from "./route.js";

const CHUNK = 50;
const ROUNDS = 6;
const KEPT = 40; // chunks of a directory
const LIVE_PAUSE = 150;
const SETTLE = 120;
const TOUCHED = 5000;

const gone = (error) => error.told?.code === "not_found" || error.told?.code === "not_directory";

// Read what of the tree can be seen. `changed(path)`: whether anything at or below a directory may be another since `before`.
async function lookAtTree({ rev, open, view, path, quick }, before, changed) {
  const shown = visible(open);
  const dirs = new Map();
  for (const each of shown) {
    const old = before?.dirs.get(each) ?? null;
    dirs.set(each, old && !changed(each) ? old : new Directory(old));
  }
  const ask = async (dir, query, chunk = null) => {
    const found = dirs.get(dir);
    try {
      const page = await steady(url("tree", dir, { at: rev, ...query }));
      if (chunk !== null) found.chunks.add(chunk);
      found.take(page.place, page.items, page.total);
      const wanted = query.begin;
      if (wanted !== undefined) {
        if (page.items[0]?.name !== wanted) found.ranks.delete(wanted);
        found.sure.add(wanted);
      }
    } catch (error) {
      if (!gone(error)) throw error;
      found.take(0, [], 0);
      found.ranks.clear();
      if (chunk !== null) found.chunks.add(chunk);
      if (query.begin !== undefined) found.sure.add(query.begin);
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const asked = [];
    const node = layout(dirs, open);
    const near = new Set(["/"]);
    const chunks = new Map();
    for (const slot of slots(node, view.first, view.last)) {
      near.add(slot.dir);
      const chunk = Math.floor(slot.rank / CHUNK);
      if (!dirs.get(slot.dir).chunks.has(chunk)) chunks.set(`${slot.dir} ${chunk}`, [slot.dir, chunk]);
    }
    for (const [dir, chunk] of chunks.values()) asked.push(ask(dir, { skip: chunk * CHUNK, limit: CHUNK }, chunk));
    const reading = new Set([...chunks.values()].map(([dir]) => dir));
    for (const each of shown) {
      const found = dirs.get(each);
      if (!found.known && !reading.has(each) && (!quick || near.has(each) || !before?.dirs.has(each)))
        asked.push(ask(each, { skip: 0, limit: CHUNK }, 0));
    }
    if (!asked.length) // where the open ones, and the one that is selected, are among the entries of theirs
      for (const each of new Set([...shown.slice(1), path])) {
        const above = dirs.get(parent(each));
        const matters = !quick || near.has(each);
        if (each !== "/" && above && matters && !above.sure.has(name(each))) asked.push(ask(parent(each), { begin: name(each), limit: 1 }));
      }
    if (!asked.length) break;
    await Promise.all(asked);
  }
  dirs.forEach(prune);
  return { dirs, node: layout(dirs, open), open };
}

function prune(dir) {
  if (dir.chunks.size <= KEPT) return;
  for (const chunk of [...dir.chunks].slice(0, dir.chunks.size - KEPT)) {
    dir.chunks.delete(chunk);
    for (let rank = chunk * CHUNK; rank < (chunk + 1) * CHUNK; rank++) dir.rows.delete(rank);
  }
}

async function lookAtCommit(rev) {
  if (!rev) return null;
  try {
    return (await steady(url("commits", null, { from: rev, to: rev, at: rev }))).items[0] ?? null;
  } catch { return null; } // below the floor of history
}

// Whether a path was a directory when the tree was looked at last: then nobody asks for it as a file.
function isDirectory(tree, path) {
  const dir = tree?.dirs.get(parent(path));
  return dir?.rows.get(dir.rankOf(name(path)))?.kind === "directory" || tree?.dirs.get(path)?.total > 0;
}

// What a path is: {kind: "file", told} | {kind: "directory", told} | {kind: "missing"} | {kind: "problem", problem}
async function lookAtPath(path, rev, directory) {
  if (path === "/") return { kind: "directory", path };
  try {
    if (!directory) return { kind: "file", path, told: await steady(url("files", path, { at: rev })) };
  } catch (error) {
    if (error.told?.code !== "is_directory") return { kind: gone(error) ? "missing" : "problem", path, problem: error };
  }
  try {
    const told = await steady(url("stat", path, { at: rev }));
    return told.kind === "file" ? lookAtPath(path, rev, false) : { kind: "directory", path, told };
  } catch (error) {
    return { kind: gone(error) ? "missing" : "problem", path, problem: error };
  }
}

export class Moment {
  constructor(tell) {
    this.tell = tell;
    this.shown = null; // {rev, live, tree, commit, file}
    this.problem = null;
    this.flashes = new Map();
    this.touched = new Map(); // path -> the last rev that changed it, or anything below
    this.all = 0; // everything may have changed up to this rev
    this.busy = false;
    this.target = null;
  }

  // target: {rev, live, open, path, view, quick}
  want(target) {
    if (!target.rev) return;
    this.target = target;
    this.waiting = true;
    clearTimeout(this.settling);
    if (target.quick) this.settling = setTimeout(() => this.want({ ...this.target, quick: false }), SETTLE);
    if (!this.busy) this.run();
  }

  // Something was committed: what of it is on the screen is read again, all else stays as it was read.
  touch(rev, changes) {
    if (this.touched.size > TOUCHED) {
      this.touched.clear();
      this.all = rev;
    }
    for (const { path } of changes) {
      this.touched.set(path, rev);
      for (let above = parent(path); this.touched.get(above) !== rev; above = parent(above)) this.touched.set(above, rev);
    }
  }

  // What came up to `rev` was not all told: after a gap, a compaction. Or it is another cluster, whose revs mean something else.
  anew(rev, other) {
    this.all = rev;
    if (other) this.shown = null;
    if (this.target) this.want(this.target);
  }

  async run() {
    this.busy = true;
    while (this.waiting) {
      this.waiting = false;
      const began = Date.now();
      await this.look(this.target);
      const rest = this.target.live ? LIVE_PAUSE - (Date.now() - began) : 0;
      if (rest > 0) await new Promise((done) => setTimeout(done, rest));
    }
    this.busy = false;
  }

  async look(target) {
    const before = this.shown, { rev, live, path } = target;
    const followed = before !== null && (before.rev === rev || (live && before.live && rev > before.rev)) && this.all <= before.rev;
    const changed = (each) => !followed || (before.rev !== rev && (this.touched.get(each) ?? 0) > before.rev);
    try {
      const [tree, commit, file] = await Promise.all([
        lookAtTree(target, before?.tree ?? null, changed),
        lookAtCommit(rev),
        before?.file?.path === path && !changed(path) ? before.file : lookAtPath(path, rev, isDirectory(before?.tree, path)),
      ]);
      this.shown = { rev, live, tree, commit, file };
      this.problem = null;
      if (before) this.flash(before, target); else performance.mark("rows");
    } catch (error) {
      this.problem = error;
    }
    this.tell();
  }

  // Remember which of the rows that can be seen are not what they were.
  flash(before, { view }) {
    const was = new Map();
    for (const slot of slots(before.tree.node, view.first, view.last)) {
      const row = before.tree.dirs.get(slot.dir)?.rows.get(slot.rank);
      if (row) was.set(full(slot, row), row.mod_rev);
    }
    const now = Date.now(), { rev, tree } = this.shown;
    if (this.flashes.size > 2000) this.flashes.clear();
    if (!was.size) return;
    for (const slot of slots(tree.node, view.first, view.last)) {
      const row = tree.dirs.get(slot.dir)?.rows.get(slot.rank);
      if (!row) continue;
      const path = full(slot, row), old = was.get(path);
      if (old === undefined ? row.mod_rev > before.rev && rev > before.rev : old !== row.mod_rev) this.flashes.set(path, now);
    }
  }

  fresh(path) {
    return Date.now() - (this.flashes.get(path) ?? 0) < 1200;
  }
}

export const latestRev = async () => (await read(url("rev", null))).rev;
