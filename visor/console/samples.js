// What was seen of the cluster in the last five minutes: counters become rates, and figures become words. Pure.
import { counted, digits } from "./words.js";

export const KEPT = 5 * 60 * 1000;

// A sample: when it was taken (by the gateway's clock: an answer may be late), the latest rev, and of each member that
// answered its counters.
export function sampleOf(told) {
  const time = Date.parse(told.time);
  const members = {};
  for (const each of told.members)
    if (each.answers) members[each.name] = { reads: each.reads, events: each.events, behind: each.behind, term: each.term };
  const leader = told.members.find((each) => each.id === told.leader);
  return {
    time, members, rev: Math.max(told.rev, ...told.members.map((each) => each.rev ?? 0)),
    read: told.read_seconds === null ? null : told.read_seconds * 1000,
    p50: leader?.commit?.p50_ms ?? null, p99: leader?.commit?.p99_ms ?? null,
  };
}

export function keep(samples, sample) {
  const kept = samples.filter((each) => each.time > sample.time - KEPT - 10000);
  kept.push(sample);
  return kept;
}

// What a counter of all members rose by in a second. One that began anew, was not asked, or is of a
// version that does not tell, is left out of that step.
function rate(before, after, name) {
  const seconds = (after.time - before.time) / 1000;
  let sum = 0, known = false;
  for (const [member, counters] of Object.entries(after.members)) {
    const risen = counters[name] - (before.members[member]?.[name] ?? NaN);
    if (typeof counters[name] === "number" && risen >= 0) { sum += risen; known = true; }
  }
  return known && seconds > 0 ? sum / seconds : null;
}

export function series(samples) {
  const made = { writes: [], reads: [], events: [], read: [], p50: [], p99: [] };
  samples.forEach((sample, place) => {
    const before = samples[place - 1];
    const { time } = sample;
    if (before && time - before.time < 7000) {
      made.writes.push([time, Math.max(0, (sample.rev - before.rev) / ((time - before.time) / 1000))]);
      made.reads.push([time, rate(before, sample, "reads")]);
      made.events.push([time, rate(before, sample, "events")]);
    }
    made.read.push([time, sample.read]);
    made.p50.push([time, sample.p50]);
    made.p99.push([time, sample.p99]);
  });
  return made;
}

// What the pictures show: all that was seen, a minute at least.
export function span(samples) {
  const to = samples.at(-1)?.time ?? 0;
  return [Math.min(to - 60000, Math.max(to - KEPT, samples[0]?.time ?? 0)), to];
}

export const lagOf = (samples, member) => samples.map(({ time, members }) => [time, members[member]?.behind ?? null]);

// Problems with one row of the runbook are told together: [[problem, texts], ...].
export function together(problems) {
  const found = new Map();
  for (const each of problems) {
    const key = each.page ?? each.text;
    if (!found.has(key)) found.set(key, [each, []]);
    found.get(key)[1].push(each.text);
  }
  return [...found.values()];
}

// -- in words -----------------------------------------------------------------------------------------------
const down = (member) => !member.answers && !member.heard;

// How it stands, for somebody who looks once: good, warn or bad, a few words, and what they mean.
export function verdict(told) {
  const voters = told.members.filter((each) => each.role === "voter");
  const up = voters.filter((each) => !down(each)).length;
  const gone = told.members.filter(down).map((each) => each.name);
  const leader = told.members.find((each) => each.id === told.leader);
  const spare = up - told.needed;
  const loss = spare > 0 ? `${spare === 1 ? "one more" : `${spare} more`} can be lost` : "one more loss stops all writes";
  if (!leader) {
    const why = up < told.needed ? `${up} of ${voters.length} voters answer, ${told.needed} are needed` : "the members are choosing one";
    return { kind: "bad", title: "There is no leader", text: `Writes and confirmed reads wait; reads that may be old go on. ${why[0].toUpperCase()}${why.slice(1)}.` };
  }
  const alone = voters.length === 1;
  const leads = alone ? `${leader.name} is alone: there is no other copy` : `${leader.name} leads ${voters.length} voters in term ${told.term}`;
  if (gone.length) return {
    kind: spare < 0 ? "bad" : "warn", title: `${list(gone)} ${gone.length === 1 ? "is" : "are"} down`,
    text: `${leads}; ${up} of ${voters.length} answer, ${told.needed} are needed: ${loss}.`,
  };
  if (told.problems.length) return {
    kind: "warn", title: told.problems.length === 1 ? "One thing needs you" : `${told.problems.length} things need you`,
    text: `${leads}${alone ? "" : `; ${loss.replace("one more", "one")}`}.`,
  };
  return { kind: "good", title: "All is well", text: `${leads}${alone ? "" : `; ${loss.replace("one more", "one")}`}.` };
}

const list = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

export function stateOf(member) {
  if (down(member)) return { kind: "bad", word: "down" };
  if (!member.answers) return { kind: "warn", word: "not asked" };
  if (member.alarms.length) return { kind: "warn", word: counted(member.alarms.length, "alarm") };
  return { kind: "good", word: "well" };
}

// How long ago what a member has was the latest, in seconds; 0 where it has everything, null where nobody knows.
export function secondsBehind(member, leader) {
  if (!member.answers || !leader?.answers) return null;
  return member.rev >= leader.rev ? 0 : Math.max(0, (leader.time - member.time) / 1000);
}

export const count = (value) => (value === null || value === undefined ? "—" : value.toLocaleString("en").replaceAll(",", "\u202f"));
export const perSecond = (value) => (value >= 10000 ? `${digits(value / 1000)} k/s` : `${digits(value >= 10 ? Math.round(value) : value)}/s`);
export const milliseconds = (value) => (value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`);
