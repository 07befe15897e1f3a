// The moment that is looked at: all that is on the screen is of one rev, and comes there in one go, by one request.
//
// One look is under way at a time, and one waits, the latest: however fast somebody drags, whatever comes back is drawn, and
// what was dragged past is never asked for. Only rows that can be seen are read.
import { Problem, steady, url } from "./api.js";
import { Latest } from "./poll.js";
import { Directory, full, layout, slots, visible } from "./rows.js";
import { name, parent } from "./route.js";

const PORTION = 50; // rows: who scrolls a little asks for the same
const MOST_ROWS = 500;
const KEPT = 2000; // rows of a directory
const SETTLE = 120;
const TOUCHED = 5000;

// Whether it is known where a path is among the entries beside it, or that it is not there.
function placed(tree, path) {
  const dir = tree.dirs.get(parent(path));
  return path === "/" || !dir || tree.asked === path || (dir.ranks.has(name(path)) && dir.guessed !== name(path));
}

// Whether a tree that was read is that of another moment as well: nothing in it has changed, and the same of it is seen.
function stays(tree, { open, view, path, quick }, changed) {
  const shown = visible(open);
  return shown.length === tree.dirs.size && shown.every((each) => tree.dirs.has(each) && !changed(each)) && (quick || placed(tree, path))
    && [...slots(tree.node, view.first, view.last)].every((slot) => tree.dirs.get(slot.dir).rows.has(slot.rank));
}

// The tree as an answer tells it. Rows of a directory in which nothing has changed stay as they were read; and where the
// selected path is, is taken to be where it was until somebody asks.
function taken(told, before, { open, path }, changed, asked) {
  const dirs = new Map();
  for (const each of told.directories) {
    const old = before?.dirs.get(each.path);
    const found = new Directory(each, old && !changed(each.path) && old.rows.size < KEPT ? old.rows : []);
    if (!asked && old && parent(path) === each.path) found.guess(name(path), old.rankOf(name(path)));
    dirs.set(each.path, found);
  }
  const refused = told.directories[0].problem;
  if (refused) throw new Problem(refused);
  return { dirs, node: layout(dirs, open), asked: asked ? path : null };
}

// What of a moment is to be asked for, beside who made it.
function query({ rev, open, view, path, quick }, tree, file) {
  const first = Math.floor(view.first / PORTION) * PORTION;
  const rows = Math.min(MOST_ROWS, Math.ceil((view.last - first) / PORTION) * PORTION);
  const place = tree || quick ? null : 1;
  return { at: rev, path: file && !place ? null : path, ...(tree ? {} : { open: visible(open).slice(1), first, rows, place }) };
}

export class Moment {
  constructor(tell) {
    this.tell = tell;
    this.shown = null; // {rev, live, tree, commit, file}
    this.problem = null;
    this.flashes = new Map();
    this.touched = new Map(); // path -> the last rev that changed it, or anything below
    this.all = 0; // everything may have changed up to this rev
    this.target = null;
    this.latest = new Latest((target) => this.look(target), (_, { problem }) => this.done(problem));
  }

  // target: {rev, live, open, path, view, quick}
  want(target) {
    if (!target.rev) return;
    this.target = target;
    clearTimeout(this.settling);
    if (target.quick) this.settling = setTimeout(() => this.want({ ...this.target, quick: false }), SETTLE);
    this.latest.want(target);
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

  async look(target) {
    const before = this.shown, { rev, live, path, quick } = target;
    const followed = before !== null && (before.rev === rev || (live && before.live && rev > before.rev)) && this.all <= before.rev;
    const changed = (each) => !followed || (before.rev !== rev && (this.touched.get(each) ?? 0) > before.rev);
    const tree = before && stays(before.tree, target, changed) ? before.tree : null;
    const file = before?.file?.path === path && !changed(path) ? before.file : null;
    if (tree && file && before.rev === rev && before.live === live) return;
    const told = await steady(url("moment", null, query(target, tree, file)));
    const { selected } = told;
    this.shown = {
      rev, live, commit: told.commit, tree: tree ?? taken(told, before?.tree, target, changed, !quick),
      file: selected ? { ...selected, problem: selected.problem && new Problem(selected.problem) } : file,
    };
    if (before) this.flash(before, target); else performance.mark("rows");
  }

  done(problem = null) {
    this.problem = problem;
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
