// What happened, the newest first: many of a kind in one commit are one line.
import { words } from "./fleetdata.js";
import { html } from "./html.js";
import { format } from "./route.js";
import { ago, counted, when } from "./words.js";

const VERBS = {
  "instance-register": ["pending", "registered"], "instance-unregister": ["gone", "unregistered"], "instance-start": ["running", "runs"],
  "instance-stop": ["stopping", "is to stop"], "instance-exit": ["exited", "exited"], "instance-fail": ["failed", "failed"],
  "instance-lost": ["lost", "lost"], "app-register": ["made", "app registered"], "app-unregister": ["gone", "app unregistered"],
  "rev-register": ["made", "revision registered"], "rev-unregister": ["gone", "revision unregistered"], "proc-register": ["made", "process registered"],
  "proc-unregister": ["gone", "process unregistered"], "service-register": ["made", "service registered"], "service-unregister": ["gone", "service unregistered"],
  "endpoint-register": ["made", "endpoint registered"], "endpoint-unregister": ["gone", "endpoint unregistered"],
};
const SIGNS = { pending: "⋯", claimed: "◐", running: "■", stopping: "↓", exited: "–", failed: "✕", lost: "?", gone: "−", made: "+", unknown: "!" };

function told(event) {
  if (event.type === "instance-state-change") {
    const state = event.source?.state ?? "unknown";
    return [state, state === "claimed" ? "claimed" : state === "pending" ? "given back" : state];
  }
  return VERBS[event.type] ?? ["unknown", "cannot be read"];
}

// Events of one commit that say the same of instances of one group are one line, and a commit is one entry.
export function gathered(events) {
  const found = [];
  for (const event of events) {
    const [kind, verb] = told(event);
    const { app, revision, proc, env, instance, service, endpoint } = event.path;
    const name = service ? [service, endpoint].filter(Boolean).join(" ") : [app, words({ revision, proc, env })].filter(Boolean).join(" ");
    const host = instance ? event.source?.host ?? null : null;
    let commit = found[found.length - 1];
    if (commit?.rev !== event.rev) found.push(commit = { rev: event.rev, time: event.time, actor: event.actor, hosts: new Set(), reasons: new Set(), lines: [] });
    if (host) commit.hosts.add(host);
    if (event.reason && ["failed", "lost", "unknown"].includes(kind)) commit.reasons.add(event.reason);
    const last = commit.lines.find((line) => instance && line.verb === verb && line.name === name);
    if (last) last.instances.push(instance);
    else commit.lines.push({ kind, verb, name, app, service, instances: instance ? [instance] : [] });
  }
  return found;
}

const place = ({ app, service, instances }) => ({ path: app ? "/apps/" + app : "/services", pick: app && instances.length === 1 ? instances[0] : null });

const SHOWN = 8;

export function Happened({ events, route, now, problem }) {
  if (problem) return html`<p class="hint">${problem.told?.status === 403 ? "You may not read the past, so what happened is not shown." : problem.message}</p>`;
  if (!events.length) return html`<p class="hint">Nothing so far.</p>`;
  return html`
    <ol class="happened">
      ${gathered(events).map(({ rev, time, actor, hosts, reasons, lines }) => html`
        <li key=${rev}>
          ${lines.slice(0, SHOWN).map((each) => html`
            <div class="what" key=${each.verb + each.name}><span class=${"sign " + each.kind} aria-hidden="true">${SIGNS[each.kind] ?? "·"}</span>
              <span>${each.instances.length > 1 && html`<b>${each.instances.length}</b> `}<a href=${format({ ...route, ...place(each), only: [] })}>${each.name}</a> ${each.verb}</span></div>`)}
          ${lines.length > SHOWN && html`<div class="about">and ${lines.length - SHOWN} more</div>`}
          ${[...reasons].slice(0, 3).map((reason) => html`<div class="about reason" key=${reason}>${reason}</div>`)}
          <div class="about">${hosts.size > 0 && html`${hosts.size === 1 ? [...hosts][0] : counted(hosts.size, "host")} · `}<a href=${format({ ...route, at: rev })} aria-label=${`Look at rev ${rev}`}>rev ${rev}</a> · <time datetime=${time} title=${when(time)}>${ago(time, now)} ago</time> · ${actor}</div>
        </li>`)}
    </ol>`;
}
