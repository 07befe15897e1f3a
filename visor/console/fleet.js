// The fleet: which apps there are and how many of each run, what runs where, what is to be done, what happened.
import { useEffect, useMemo, useState } from "./vendor/hooks.mjs";
import { groupsOf, hostsOf, MARKS, staying, STATES, tally, useFleet, words } from "./fleetdata.js";
import { Happened } from "./happened.js";
import { Heat } from "./heat.js";
import { html } from "./html.js";
import { Instance } from "./instance.js";
import { fileAt, format, go } from "./route.js";
import { Scale } from "./scale.js";
import { Services, Views } from "./services.js";
import { useMay } from "./signin.js";
import { Table } from "./table.js";
import { Tickets } from "./tickets.js";
import { ago, counted } from "./words.js";

const TICK = 10000;
const SAID = 4000;

// Now, or the moment that is looked at: what ages are told from.
function useNow(at, time) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK);
    return () => clearInterval(timer);
  }, []);
  return at === null || !time ? Math.max(now, Date.now()) : Date.parse(time);
}

// Says now and then how it stands, for who does not see it.
function Spoken({ text }) {
  const [said, say] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => say(text), SAID);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<p class="unseen" role="status">${said}</p>`;
}

function Bar({ counts, want }) {
  const all = Math.max(want ?? 0, STATES.reduce((sum, state) => sum + counts[state], 0));
  const missing = Math.max(0, all - STATES.reduce((sum, state) => sum + counts[state], 0));
  if (!all) return html`<span class="stack none" aria-hidden="true"></span>`;
  return html`<span class="stack" aria-hidden="true">
    ${STATES.filter((state) => counts[state]).map((state) => html`<i key=${state} class=${state} style=${{ flexGrow: counts[state] }}></i>`)}
    ${missing > 0 && html`<i class="missing" style=${{ flexGrow: missing }}></i>`}</span>`;
}

// -- the rail ---------------------------------------------------------------------------------------------
const desired = (groups) => groups.reduce((sum, { target, instances }) => sum + (target ?? staying(tally(instances))), 0);

function Rail({ told, route, apps }) {
  const item = (path, name, number, more, bad) => html`
    <li key=${path}><a href=${format({ ...route, path, pick: null, only: [] })} aria-current=${route.path === path ? "page" : null}>
      <span class="line"><span class="name">${name}</span><span class=${"figure" + (bad ? " bad" : "")}>${number}</span></span>${more}</a></li>`;
  const onKey = (event) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...event.currentTarget.querySelectorAll("a")];
    const next = links[links.indexOf(document.activeElement) + step];
    if (!next) return;
    next.focus();
    event.preventDefault();
  };
  return html`
    <nav class="rail" aria-label="Fleet" onKeyDown=${onKey}>
      <ul>${item("/", "All instances", told.instances.length)}</ul>
      <h2>Apps</h2>
      <ul>${apps.map(({ name, groups, counts }) => {
        const want = desired(groups);
        return item("/apps/" + name, name, html`<span aria-label=${`${counts.running} of ${want} run`}>${counts.running}<span class="soft"> / ${want}</span></span>`,
          html`<${Bar} counts=${counts} want=${want} />`, want > 0 && counts.running === 0);
      })}</ul>
      ${!apps.length && html`<p class="hint">None yet.</p>`}
      <h2>Work</h2>
      <ul>${item("/tickets", "Tickets", told.tickets.length)}</ul>
      <h2>Reached at</h2>
      <ul>${item("/services", "Services", told.services.length)}${item("/views", "Views", told.views.length)}</ul>
    </nav>`;
}

// -- the middle -------------------------------------------------------------------------------------------
function Legend({ counts, route }) {
  const toggle = (state) => {
    const only = route.only.includes(state) ? route.only.filter((each) => each !== state) : [...route.only, state];
    go({ only });
  };
  const shown = STATES.filter((state) => counts[state] || route.only.includes(state));
  return html`
    <div class="legend" role="group" aria-label="Only these states">
      ${shown.map((state) => html`
        <button key=${state} class="chip" aria-pressed=${route.only.includes(state)} onClick=${() => toggle(state)}>
          <span class=${"cell small " + state} aria-hidden="true">${MARKS[state]}</span>${state} <b>${counts[state]}</b></button>`)}
      ${route.only.length > 0 && html`<button class="link" onClick=${() => go({ only: [] })}>all states</button>`}
    </div>`;
}

const states = (counts) => STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`).join(", ") || "none";

function Groups({ groups, may, scale, now }) {
  const none = ({ target, counts }) => target > 0 && counts.running === 0;
  return html`<${Table} kind="rows groups" rows=${groups.map((group) => ({ ...group, counts: tally(group.instances) }))} columns=${[
    ["Revision", ({ revision }) => revision],
    ["Process", ({ proc, env }) => [proc, env].filter(Boolean).join(" · ")],
    ["Running", (group) => html`<span class=${none(group) ? "bad" : ""}>${group.counts.running}</span>`, "number"],
    ["Desired", ({ target, by, time }) => html`<span title=${time ? `asked for by ${by}, ${ago(time, now)} ago` : "nobody has scaled it"}>${target ?? "—"}</span>`, "number"],
    ["State", ({ counts, target }) => html`<${Bar} counts=${counts} want=${target} /><span class="soft">${states(counts)}</span>`, "wide"],
    ["", ({ key }) => may && html`<button onClick=${() => scale(key)} aria-label=${`Scale ${key.trim()}`}>Scale</button>`],
  ]} />`;
}

// Groups that could be scaled and never were: every process of the latest revision.
function withFresh(groups, told, app) {
  const revisions = told.revisions.filter((each) => each.app === app.name);
  const newest = revisions.find(({ ref }) => ref === app.head) ?? [...revisions].sort((a, b) => (a.registered ?? "").localeCompare(b.registered ?? "")).pop();
  if (!newest) return groups;
  const more = told.procs.filter((each) => each.app === app.name && !groups.some(({ revision, proc }) => revision === newest.ref && proc === each.name))
    .map(({ name }) => ({ key: [newest.ref, name, ""].join(" "), revision: newest.ref, proc: name, env: "", target: null, instances: [] }));
  return [...more, ...groups];
}

function App({ app, told, route, live, now }) {
  const [scaled, scale] = useState(null);
  const may = useMay(`/apps/${app.name}`, true).write && live; // what it may not do is not offered
  const groups = withFresh(app.groups, told, app);
  const group = groups.find(({ key }) => key === scaled);
  const revisions = told.revisions.filter((each) => each.app === app.name);
  const procs = told.procs.filter((each) => each.app === app.name);
  return html`
    <dl class="facts">
      ${app.repo_url && html`<div><dt>Source</dt><dd>${app.repo_url}</dd></div>`}
      ${app.stack && html`<div><dt>Stack</dt><dd>${app.stack}</dd></div>`}
      ${app.head && html`<div><dt>Head</dt><dd>${app.head}</dd></div>`}
      <div><dt>Revisions</dt><dd class="words">${revisions.length ? revisions.map(({ ref }) => html`<a key=${ref} href=${fileAt(`/apps/${app.name}/revs/${ref}`, route.at)}>${ref}</a>`) : "none"}</dd></div>
      <div><dt>Processes</dt><dd class="words">${procs.length ? procs.map(({ name, port }) => html`<a key=${name} href=${fileAt(`/apps/${app.name}/procs/${name}`, route.at)} title=${port ? `port ${port}` : "no port"}>${name}</a>`) : "none"}</dd></div>
    </dl>
    ${groups.length > 0 && html`<${Groups} groups=${groups} may=${may} scale=${scale} now=${now} />`}
    ${!revisions.length && html`<div class="empty"><h3>It has no revision yet</h3><p>A revision is a build of the app, a process type says how it is started:</p>
      <pre>visor rev register ${app.name} v1 --archive URL${"\n"}visor proc register ${app.name} web --command 'COMMAND'</pre></div>`}
    ${revisions.length > 0 && !procs.length && html`<div class="empty"><h3>It has no process type yet</h3><p>It says how the app is started:</p>
      <pre>visor proc register ${app.name} web --command 'COMMAND'</pre></div>`}
    ${group && html`<${Scale} app=${app.name} group=${group} there=${staying(tally(group.instances))} close=${() => scale(null)} />`}`;
}

function Grid({ told, route, instances, all, fresh, app, title = "Instances by host" }) {
  const counts = tally(instances);
  const found = route.only.length ? instances.filter(({ state }) => route.only.includes(state)) : instances;
  const rows = useMemo(() => hostsOf(told, found, all && !route.only.length), [told, route.only.join(), route.path]);
  const hosts = rows.filter(({ host }) => host).length;
  return html`
    <section aria-label="Instances by host" class="where">
      <h3 class=${all ? "first" : ""}>${all ? "" : title} <small>${counted(found.length, "instance")}${hosts ? ` on ${counted(hosts, "host")}` : ""}</small></h3>
      ${instances.length > 0 && html`<${Legend} counts=${counts} route=${route} />`}
      ${rows.length ? html`<${Heat} rows=${rows} route=${route} fresh=${fresh} />`
        : html`<p class="hint">${route.only.length ? "None is in that state."
          : app ? html`None runs. <code>visor scale ${app} REVISION PROC N</code> asks for some.` : "No instance, and no host, is there."}</p>`}
    </section>`;
}

function Nothing({ live }) {
  if (!live) return html`<div class="empty"><h3>No app was registered at this rev</h3><p><button onClick=${() => go({ at: null })}>Back to now</button></p></div>`;
  return html`
    <div class="empty"><h3>No app is registered yet</h3>
      <p>An app has revisions (its builds) and process types (how it is started). Scaled, it gets instances, and hosts claim those:</p>
      <pre>visor init${"\n"}visor app register web --repo git://git/web --stack trusty${"\n"}visor rev register web v1${"\n"}visor proc register web worker --command 'sleep 1000'${"\n"}visor scale web v1 worker 3</pre>
      <p class="soft">They come up here as soon as they are there.</p></div>`;
}

function Middle({ told, route, apps, fresh, now }) {
  const live = route.at === null;
  const [, kind, name] = route.path.split("/");
  const title = { "": "All instances", tickets: "Tickets", services: "Services", views: "Views", apps: name, hosts: `Host ${name}` }[kind ?? ""] ?? "Nothing of that name";
  const app = kind === "apps" ? apps.find((each) => each.name === name) : null;
  const host = told.hosts.find((each) => each.host === name);
  let content;
  if (kind === "tickets") content = html`<${Tickets} told=${told} route=${route} now=${now} />`;
  else if (kind === "services") content = html`<${Services} told=${told} route=${route} />`;
  else if (kind === "views") content = html`<${Views} told=${told} route=${route} />`;
  else if (kind === "apps" && app) content = html`<${App} key=${name} app=${app} told=${told} route=${route} live=${live} now=${now} />
    <${Grid} told=${told} route=${route} instances=${told.instances.filter((each) => each.app === name)} fresh=${fresh} app=${name} />`;
  else if (kind === "apps") content = html`<p class="hint">There is no app ${name} at this rev.</p>`;
  else if (kind === "hosts") content = html`
    <p class="soft">${host?.lease ? `It is there: what it runs lives as long as its lease ${host.lease}.` : host ? "Its process manager is registered, without a lease." : "It has said nothing of itself."}${host?.pm ? ` Process manager ${host.pm}.` : ""}</p>
    <${Grid} told=${told} route=${route} instances=${told.instances.filter((each) => each.host === name)} fresh=${fresh} title="Instances" />
    ${told.tickets.some((each) => each.host === name) && html`<${Tickets} told=${told} route=${route} now=${now} host=${name} />`}`;
  else content = apps.length || told.instances.length || told.hosts.length || told.denied.length
    ? html`<${Grid} told=${told} route=${route} instances=${told.instances} all fresh=${fresh} />` : html`<${Nothing} live=${live} />`;
  return html`
    <section class="middle" aria-label=${title}>
      <h2>${title}</h2>
      ${told.denied.length > 0 && html`<p class="hint">You may not read: ${told.denied.join(", ")}.</p>`}
      ${Object.keys(told.left_out).length > 0 && html`<p class="hint">Left out, for there are too many: ${Object.entries(told.left_out).map(([part, number]) => `${number} ${part}`).join(", ")}.</p>`}
      ${content}
    </section>`;
}

// -- all of it --------------------------------------------------------------------------------------------
export function Fleet({ route, latest, feed }) {
  const named = route.path.startsWith("/apps/") ? route.path.slice(6) : null;
  const { told, rev, events, problem, silent, fresh } = useFleet(route.at, latest, named, feed);
  const now = useNow(route.at, told?.time);
  const apps = useMemo(() => (told?.apps ?? []).map((app) => {
    const groups = groupsOf(told, app.name);
    return { ...app, groups, counts: tally(groups.flatMap(({ instances }) => instances)) };
  }), [told]);
  useEffect(() => {
    const onKey = (event) => event.key === "Escape" && route.pick !== null && !document.querySelector("[role=dialog], dialog[open]") && go({ pick: null });
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [route.pick]);

  if (!told) return html`<section class="fleet" aria-label="Fleet">${problem && html`<div class="middle"><p class="hint" role="alert">${problem.message}</p></div>`}</section>`;
  const picked = told.instances.find(({ id }) => id === route.pick);
  const counts = tally(told.instances);
  return html`
    <section class="fleet" aria-label="Fleet" data-rev=${told.rev}>
      <${Spoken} text=${`${counted(told.instances.length, "instance")}, ${states(counts)}`} />
      <${Rail} told=${told} route=${route} apps=${apps} />
      <${Middle} told=${told} route=${route} apps=${apps} fresh=${fresh} now=${now} />
      <aside class=${"side" + (route.pick === null ? "" : " picked")} aria-label="Details and events">
        ${problem && html`<p class="hint" role="alert">Not the latest: ${problem.message}</p>`}
        ${route.pick !== null && html`<${Instance} id=${route.pick} route=${route} rev=${rev} now=${now}
          version=${picked ? `${picked.mod_rev} ${picked.state}` : "gone"} />`}
        <section class="events" aria-label="Events"><h3>${named ? `What happened to ${named}` : "What happened"}</h3>
          <${Happened} events=${events} route=${route} now=${now} problem=${silent} /></section>
      </aside>
    </section>`;
}
