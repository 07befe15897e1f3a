// What the fleet is at one rev, read as it changes, and what is worked out from that.
import { useEffect, useMemo, useReducer, useRef, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { Latest } from "./poll.js";

export const STATES = ["running", "claimed", "pending", "stopping", "exited", "failed", "lost"];
export const MARKS = { running: "", claimed: "◐", pending: "⋯", stopping: "↓", exited: "–", failed: "✕", lost: "?" };
const TOUCHES = /^\/(apps|hosts|leases|pms|runners|services|tickets|views)(\/|$)/;
const EVENTS = 100;
const KEPT = 200;
const FRESH = 1200;

async function readAll({ rev, app, live, since }, signal) {
  const options = { signal, cache: live ? "no-store" : "default" };
  const happened = read(url("happenings", null, { at: rev, app, from: since, limit: EVENTS }), options)
    .catch((problem) => ({ events: [], problem, next: null }));
  return { fleet: await read(url("fleet", null, { at: rev }), options), happened: await happened };
}

// Returns { told, rev, events, problem, fresh }: all of one rev. `told` is null until something was read; `rev` is the latest
// at which it is still so: an old one is history, which not everybody may read.
export function useFleet(at, latest, app, feed) {
  const [shown, show] = useState({ told: null, events: [], problem: null });
  const [touched, touch] = useState(null);
  const [, settle] = useReducer((number) => number + 1, 0);
  const box = useRef(null);
  const seen = useMemo(() => ({ states: new Map(), since: new Map(), events: [], key: null }), []);

  useEffect(() => {
    const made = new Latest((key, signal) => {
      // Live, only the events that are new are asked for.
      const goesOn = key.live && seen.key?.live && seen.key.app === key.app && seen.key.rev <= key.rev;
      key.since = goesOn ? seen.key.rev + 1 : null;
      return readAll(key, signal);
    }, (key, { told, problem }) => {
      if (problem) return show((before) => ({ ...before, problem }));
      flash(seen, told.fleet, key.live);
      seen.events = merged(seen, key, told.happened);
      seen.key = key;
      show({ told: told.fleet, events: seen.events, problem: null, silent: told.happened.problem ?? null });
    });
    box.current = made;
    return () => made.close();
  }, []);
  useEffect(() => feed.listen((name, data) => {
    if (name === "anew" || (name === "commit" && data.changes.some(({ path }) => TOUCHES.test(path))))
      touch((before) => (name === "anew" ? data.rev : Math.max(before ?? 0, data.rev)));
  }), [feed]);

  const newest = useRef(0);
  newest.current = latest;
  const rev = at ?? touched ?? (latest || null);
  useEffect(() => {
    if (rev === null) return;
    box.current.want({ rev: at ?? Math.max(rev, newest.current), app, live: at === null });
  }, [rev, app, at === null]);
  useEffect(() => {
    const timer = setTimeout(settle, FRESH + 100);
    return () => clearTimeout(timer);
  }, [shown]);

  const lasting = at === null && shown.told?.rev >= (touched ?? 0);
  return { ...shown, rev: lasting ? Math.max(latest, shown.told.rev) : shown.told?.rev, fresh: (id) => performance.now() - (seen.since.get(id) ?? -FRESH) < FRESH };
}

function flash(seen, { instances }, live) {
  const now = performance.now();
  const known = seen.states.size > 0 && live;
  const states = new Map(instances.map((each) => [each.id, each.state]));
  if (known) for (const [id, state] of states) if (seen.states.get(id) !== state) seen.since.set(id, now);
  for (const [id, since] of seen.since) if (now - since > FRESH) seen.since.delete(id);
  seen.states = states;
}

// What is new comes before what is known, unless there is a gap between them.
function merged(seen, key, { events, next }) {
  if (key.since === null || next !== null) return events;
  return [...events, ...seen.events].slice(0, KEPT);
}

// -- worked out ---------------------------------------------------------------------------------------------
const { compare } = new Intl.Collator(undefined, { numeric: true });

export function tally(instances) {
  const found = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const { state } of instances) found[state] = (found[state] ?? 0) + 1;
  return found;
}

const STAYING = ["running", "claimed", "pending"];
export const staying = (counts) => STAYING.reduce((sum, state) => sum + counts[state], 0);

// Groups of instances, those that `scale` was told of and those that are only there, in order.
export function groupsOf(told, app) {
  const groups = new Map();
  const at = (each) => {
    const key = [each.revision, each.proc, each.env ?? ""].join(" ");
    if (!groups.has(key)) groups.set(key, { key, revision: each.revision, proc: each.proc, env: each.env ?? "", target: null, instances: [] });
    return groups.get(key);
  };
  told.groups.filter((each) => each.app === app).forEach((each) => Object.assign(at(each), { target: each.target, by: each.by, time: each.time }));
  told.instances.filter((each) => each.app === app).forEach((each) => at(each).instances.push(each));
  return [...groups.values()].sort((a, b) => compare(b.revision, a.revision) || compare(a.key, b.key));
}

// Hosts with their instances; what has no host yet comes first.
export function hostsOf(told, instances, all) {
  const rows = new Map();
  const row = (host) => {
    if (!rows.has(host)) rows.set(host, { host, known: null, instances: [] });
    return rows.get(host);
  };
  if (all) told.hosts.forEach((each) => { row(each.host).known = each; });
  else for (const each of told.hosts) if (instances.some(({ host }) => host === each.host)) row(each.host).known = each;
  instances.forEach((each) => row(each.host ?? "").instances.push(each));
  const order = (a, b) => compare(a.app, b.app) || compare(a.revision, b.revision) || compare(a.proc, b.proc) || a.id - b.id;
  for (const { instances: own } of rows.values()) own.sort(order);
  return [...rows.values()].sort((a, b) => compare(a.host, b.host));
}

export const words = ({ revision, proc, env }) => [revision, proc, env].filter(Boolean).join(" · ");
