// The moment that is looked at: all that is on the screen is of one rev, and comes there in one go, by one request.
//
// One look is under way at a time, and one waits, the latest: however fast somebody drags, whatever comes back is drawn, and
// what was dragged past is never asked for. Only rows that can be seen are read.
import { Problem, steady, url } from "./api.js";
import { Latest } from "./poll.js";
import { parent, visible } from "./route.js";

const PORTION = 50; // rows: who scrolls a little asks for the same
const MOST_ROWS = 500;
const KEPT = 2000;
const SETTLE = 120;
const TOUCHED = 5000;

// A tree as far as it was read: {size, rows: row -> entry, open, asked: the path whose row is `row`}.
// Whether it is that of another moment as well: nothing in it has changed, and the same of it is seen.
function stays(tree, { open, view, path, quick }, changed) {
  const shown = visible(open);
  if (shown.join() !== tree.open.join() || shown.some(changed)) return false;
  for (let row = view.first; row < Math.min(view.last, tree.size); row++) if (!tree.rows.has(row)) return false;
  return quick || path === "/" || (path === tree.asked && tree.sure) || rowOf(tree, path) >= 0 || !shown.includes(parent(path));
}

// The row of a path, as far as it is known; -1 where it is not, or there is none.
export function rowOf(tree, path) {
  for (const [row, each] of tree.rows) if (each.path === path) return row;
  return tree.asked === path ? tree.row ?? -1 : -1;
}

// The tree as an answer tells it, with the rows that are known of the same.
function taken(told, before, { open, path, quick }, same) {
  const refused = told.directories.find(({ problem }) => problem)?.problem;
  if (refused && !told.size) throw new Problem(refused);
  const shown = visible(open), known = same && before.open.join() === shown.join() && before.rows.size < KEPT;
  const rows = new Map(known ? before.rows : []);
  for (const each of told.rows) rows.set(each.row, each);
  // While somebody drags, the selected one is taken to be where it was.
  return { size: told.size, rows, open: shown, asked: path, row: quick && before ? rowOf(before, path) : told.row, sure: !quick, partly: refused };
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
    const before = this.shown, { rev, live, path } = target;
    const followed = before !== null && (before.rev === rev || (live && before.live && rev > before.rev)) && this.all <= before.rev;
    const changed = (each) => !followed || (before.rev !== rev && (this.touched.get(each) ?? 0) > before.rev);
    const tree = before && stays(before.tree, target, changed) ? before.tree : null;
    const file = before?.file?.path === path && !changed(path) ? before.file : null;
    if (tree && file && before.rev === rev && before.live === live) return;
    const told = await steady(url("moment", null, query(target, tree, file)));
    const { selected } = told;
    this.shown = {
      rev, live, commit: told.commit, tree: tree ?? taken(told, before?.tree, target, before?.rev === rev),
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
    const seen = ({ rows }) => [...rows.values()].filter(({ row }) => row >= view.first && row < view.last);
    const was = new Map(seen(before.tree).map((row) => [row.path, row.mod_rev]));
    const now = Date.now(), { rev, tree } = this.shown;
    if (this.flashes.size > 2000) this.flashes.clear();
    if (!was.size || tree === before.tree) return;
    for (const { path, mod_rev } of seen(tree)) {
      const old = was.get(path);
      if (old === undefined ? mod_rev > before.rev && rev > before.rev : old !== mod_rev) this.flashes.set(path, now);
    }
  }

  fresh(path) {
    return Date.now() - (this.flashes.get(path) ?? 0) < 1200;
  }
}
