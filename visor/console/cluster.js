// The cluster: whether it is well, what to do where it is not, its members, its speed, and who uses it.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { Chart, Spark } from "./chart.js";
import { html } from "./html.js";
import { poll } from "./poll.js";
import { go } from "./route.js";
import * as see from "./samples.js";
import { Table } from "./table.js";
import { bytes, clock, counted } from "./words.js";

const EVERY = 2000;
const ROWS = 20;
const WHERE = url("cluster/live", null, { largest: ROWS });
let samples = []; // kept while other screens are shown

// What was told last stays when the next one fails.
function usePolling() {
  const [state, setState] = useState({ told: null, time: 0, problem: null });
  useEffect(() => poll(async (signal) => {
    try {
      const told = await read(WHERE, { signal });
      samples = see.keep(samples, see.sampleOf(told));
      setState({ told, time: Date.now(), problem: null });
    } catch (problem) {
      if (problem.name !== "AbortError") setState((before) => ({ ...before, problem }));
    }
  }, EVERY), []);
  return state;
}

// The runbook's words: `code`, and [links](#to) places on its page; all else is text.
const RUNBOOK = "/docs/runbook";
const Out = ({ href, children }) => html`<a href=${href} target="_blank" rel="noopener">${children}</a>`;
const words = (text) => text.split(/(`[^`]+`|\[[^\]]+\]\(#[a-z-]+\))/).map((part) => {
  if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
  const [, shown, place] = part.match(/^\[(.+)\]\((#.+)\)$/) ?? [];
  return place ? html`<${Out} href=${RUNBOOK + place}>${shown}</${Out}>` : part;
});
const MARKS = { good: "●", warn: "▲", bad: "✕" };
const Mark = ({ kind }) => html`<span class=${"mark is-" + kind} aria-hidden="true">${MARKS[kind]}</span>`;

function Verdict({ told, time, problem, verdict: { kind, title, text } }) {
  return html`
    <div class=${"verdict is-" + kind}>
      <${Mark} kind=${kind} />
      <div role="status"><h2>${title}</h2><p>${text}</p></div>
      ${told && html`<dl class="facts small">
        <div><dt>Rev</dt><dd>${see.count(told.rev)}</dd></div>
        <div><dt>Term</dt><dd>${told.term}</dd></div>
        <div><dt>Cluster</dt><dd><code title=${told.cluster}>${told.cluster.slice(0, 8)}</code></dd></div>
        ${problem && html`<div><dt>As of</dt><dd>${clock(time)}</dd></div>`}
      </dl>`}
    </div>`;
}

function Problems({ problems, kind }) {
  if (!problems.length) return null;
  return html`
    <section aria-label="What to do"><ul class="problems">${see.together(problems).map(([{ page, means, do: what }, texts]) => html`
      <li key=${page ?? texts[0]} class=${"is-" + kind}>
        ${texts.map((text) => html`<p class="said">${text}</p>`)}
        ${what && html`<dl>
          <dt>It means</dt><dd>${words(means)}</dd>
          <dt>Do</dt><dd>${words(what)}</dd>
        </dl>
        <${Out} href=${page}>Runbook</${Out}>`}
      </li>`)}</ul></section>`;
}

function Speed() {
  const [from, to] = see.span(samples);
  const { writes, reads, events, read: own, p50, p99 } = see.series(samples);
  const charts = [
    ["Writes", [{ name: "", points: writes }], see.perSecond, 10],
    ["Reads", [{ name: "", points: reads }], see.perSecond, 10],
    ["Changes sent to watches", [{ name: "", points: events }], see.perSecond, 10],
    ["A confirmed read from here", [{ name: "", points: own }], see.milliseconds, 1],
    ["A commit, over the last minute", [{ name: "p50", points: p50 }, { name: "p99", points: p99 }], see.milliseconds, 1],
  ];
  return html`
    <section class="charts" aria-label="Speed">${charts.map(([title, series, format, least]) => html`
      <${Chart} key=${title} title=${title} series=${series} from=${from} to=${to} format=${format} least=${least} />`)}</section>`;
}

function Bar({ disk }) {
  const used = disk.total - disk.free;
  const part = Math.round((100 * used) / disk.total);
  return html`
    <span class=${"gauge" + (disk.free < disk.alarm ? " is-bad" : "")} role="img" aria-label=${`${part} % of the disk is used`}>
      <span style=${{ width: part + "%" }}></span></span>
    <small>${bytes(disk.free)} free of ${bytes(disk.total)}</small>`;
}

const Fact = ({ name, wide, children }) => html`<div class=${wide ? "whole" : ""}><dt>${name}</dt><dd>${children}</dd></div>`;

function Figures({ member, leader }) {
  const { checkpoint, disk, install, state_bytes: state } = member;
  const version = (member.server ?? "").split("/")[1] ?? "—";
  const old = leader?.server && member.server !== leader.server;
  return html`
    <${Fact} name="Version">${version}${old && html` <small class="is-warn">differs</small>`}</${Fact}>
    <${Fact} name="Log">${bytes(member.log_bytes)} <small>${see.count(member.log_entries)} entries</small></${Fact}>
    <${Fact} name="Checkpoint">${checkpoint.running ? "being made" : checkpoint.index ? html`entry ${see.count(checkpoint.index)}` : "none yet"}
      ${checkpoint.failure && html` <small class="is-bad">failed</small>`}</${Fact}>
    ${member.memory > 0 && html`<${Fact} name="Memory">${bytes(member.memory)}${state && html` <small>state ${bytes(state[0])}</small>`}</${Fact}>`}
    ${install && html`<${Fact} name="Receives" wide>a checkpoint from ${install.from}: ${bytes(install.bytes)} of ${bytes(install.of)}</${Fact}>`}
    ${disk && html`<${Fact} name="Disk" wide><${Bar} disk=${disk} /></${Fact}>`}`;
}

function Member({ member, leader }) {
  const state = see.stateOf(member);
  const seconds = see.secondsBehind(member, leader);
  const points = see.lagOf(samples, member.name);
  const [from, to] = see.span(samples);
  const lag = member.behind === null ? "—" : member.behind === 0 ? "nothing" : counted(member.behind, "entry", "entries");
  return html`
    <li class=${"member is-" + state.kind}>
      <h3><span class="node">${member.name}</span>
        ${member.leader ? html`<span class="badge leads">leader</span>` : html`<span class="badge">${member.role}</span>`}
        <span class="how"><${Mark} kind=${state.kind} /> <span>${state.word}</span></span></h3>
      <p class="address"><code>${member.client || "no address for clients"}</code></p>
      ${!member.answers && html`<p class="why">${member.heard ? "The leader hears it; from here it cannot be asked. " : ""}${member.problem}</p>`}
      <dl class="facts">
        <${Fact} name="Behind">${member.leader && member.answers ? "nothing: it leads" : lag}${seconds > 0 && html` <small>${see.milliseconds(seconds * 1000)}</small>`}</${Fact}>
        ${member.answers && html`<${Figures} member=${member} leader=${leader} />`}
      </dl>
      ${member.answers && !member.leader && html`
        <${Spark} points=${points} from=${from} to=${to} label=${`How far ${member.name} was behind in the last minutes`} />`}
    </li>`;
}

const user = (row) => html`${row.user === "anonymous" ? "" : html`<b>${row.user}</b> `}<span>${row.actor || (row.user === "anonymous" ? "anonymous" : "")}</span>`;
const STATES = { live: "live", behind: "catching up", lagging: "does not read", ahead: "waits for a rev" };
const TABLES = {
  watches: ["Watches", "Nobody watches anything.", (rows) => rows.sort((a, b) => b.behind - a.behind), [
    ["Who", user], ["From", (row) => html`<code>${row.peer}</code>`], ["Watches", (row) => html`<code>${row.what}</code>`],
    ["At", (row) => row.member], ["State", (row) => STATES[row.state] ?? row.state], ["Behind", (row) => (row.behind ? counted(row.behind, "rev") : "nothing"), "number"],
  ]],
  connections: ["Connections", "Nobody is connected.", (rows) => rows.sort((a, b) => b.unsent - a.unsent || b.watches - a.watches), [
    ["Who", user], ["From", (row) => html`<code>${row.peer}</code>`], ["At", (row) => row.member], ["Watches", (row) => see.count(row.watches), "number"],
    ["Writes under way", (row) => see.count(row.writes), "number"], ["Not read yet", (row) => bytes(row.unsent), "number"],
    ["Idle for", (row) => (row.idle === null ? "busy" : `${see.count(row.idle)} s`), "number"],
  ]],
  sessions: ["Sessions", "No client has written anything yet.", null, [
    ["Whose", (row) => row.owner || "the cluster's"], ["Sessions", (row) => see.count(row.sessions), "number"], ["Memory", (row) => bytes(row.bytes), "number"],
  ]],
  leases: ["Leases", "There is no lease.", null, [
    ["Lease", (row) => html`<code>${row.lease}</code>`], ["Whose", (row) => row.owner || "—"], ["Files", (row) => see.count(row.files), "number"], ["Time", (row) => `${row.ttl} s`, "number"],
  ]],
};

// Sessions and leases are replicated: those of one member are those of all. The others are each member's own.
function rowsOf(told, name) {
  const there = told.members.filter((member) => member.tables);
  const order = TABLES[name][2];
  if (!order) return (there.find((member) => member.leader) ?? there[0])?.tables[name] ?? [];
  return order(there.flatMap((member) => member.tables[name].map((row) => ({ ...row, member: member.name })))).slice(0, 2 * ROWS);
}

function total(told, name) {
  const known = told.members.filter((member) => member.answers).map((member) => member[name] ?? 0);
  if (!known.length) return null;
  return TABLES[name][2] ? known.reduce((a, b) => a + b, 0) : Math.max(...known);
}

function Users({ told, chosen }) {
  const [, empty, , columns] = TABLES[chosen];
  const rows = rowsOf(told, chosen);
  const all = total(told, chosen);
  const names = Object.keys(TABLES);
  const choose = (name) => go({ path: `/${name}` });
  const onKey = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    choose(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return html`
    <section aria-label="Who uses it">
      <div class="tiles" role="tablist" aria-label="Who uses it" onKeyDown=${onKey}>${names.map((name) => html`
        <button key=${name} role="tab" id=${`tab-${name}`} aria-controls="users" aria-selected=${name === chosen} tabindex=${name === chosen ? 0 : -1}
          onClick=${() => choose(name)}><b>${see.count(total(told, name))}</b> ${TABLES[name][0]}</button>`)}</div>
      <div class="users" role="tabpanel" id="users" aria-labelledby=${`tab-${chosen}`} tabindex="0">
        ${rows.length === 0 ? html`<p class="hint">${empty}</p>` : html`<${Table} kind="whole" columns=${columns} rows=${rows} />`}
        ${rows.length > 0 && rows.length < all && chosen !== "sessions" && html`<p class="hint">${rows.length} of ${see.count(all)}: those with most come first.</p>`}
      </div>
    </section>`;
}

export function Cluster({ route }) {
  const { told, time, problem } = usePolling();
  const denied = problem?.told?.status === 403;
  if (denied) return html`<section class="cluster" aria-label="Cluster"><p class="hint">You may not see the cluster: it takes <code>read</code> on everything.</p></section>`;
  if (!told && !problem) return html`<section class="cluster" aria-label="Cluster" aria-busy="true"><p class="hint">Every member is asked…</p></section>`;
  const leader = told?.members.find((each) => each.id === told.leader);
  const verdict = problem
    ? { kind: "bad", title: "Nothing is heard", text: `${problem.message} It is asked again every two seconds.` }
    : see.verdict(told);
  const chosen = route?.path.slice(1) in TABLES ? route.path.slice(1) : "watches";
  return html`
    <section class=${"cluster" + (problem ? " stale" : "")} aria-label="Cluster">
      <${Verdict} told=${told} time=${time} problem=${problem} verdict=${verdict} />
      ${told && html`
        <${Problems} problems=${told.problems} kind=${verdict.kind} />
        <${Speed} />
        <ul class="members" aria-label="Members">${told.members.map((member) => html`<${Member} key=${member.id} member=${member} leader=${leader} />`)}</ul>
        <${Users} told=${told} chosen=${chosen} />`}
    </section>`;
}
