// The whole of it: what is shown, what is live, which keys do what.
import { render } from "./vendor/preact.mjs";
import { useEffect, useMemo, useReducer, useRef, useState } from "./vendor/hooks.mjs";
import { forget, read, url } from "./api.js";
import { Dialog } from "./modal.js";
import { Explore } from "./explore.js";
import { html } from "./html.js";
import { enable, enabled, meaning, useShortcuts } from "./keys.js";
import { Feed, Live } from "./live.js";
import { Moment } from "./moment.js";
import { format, go, parse, useRoute } from "./route.js";
import { find } from "./search.js";
import { SignIn, TabOnly, useSession, Who } from "./signin.js";
import { Slider } from "./slider.js";

const SCREENS = [["tree", "Tree", "t"], ["fleet", "Fleet", "f"], ["cluster", "Cluster", "c"]];

const KEYS = [
  ["g t, g f, g c", "tree, fleet, cluster"], ["/", "find: a path, a glob, value: text"], ["↑ ↓ or k j", "go through the files"], ["→ ←", "open, close a directory"],
  ["Home End", "first, last"], ["a b c …", "in the tree: to what begins so"], [", .", "one commit back, on"], ["[ ]", "to the change of this path before, after"],
  ["space", "replay; any key stops"], ["d", "pin this moment, and compare"], ["l", "back to now"], ["c", "copy the path"], ["y", "copy the link"], ["?", "this help"], ["Esc", "close"],
];

// A screen that is loaded when somebody goes there first.
function Later({ load, screen, ...more }) {
  const [Made, setMade] = useState(() => { load().then((module) => setMade(() => module[screen]), () => {}); });
  return Made && html`<${Made} ...${more} />`;
}
const loadFleet = () => import("./fleet.js");
const loadCluster = () => import("./cluster.js");

// The same moment on another screen; the cluster's has no past.
const on = (screen, route) => format({ ...parse(""), screen, at: screen === "cluster" ? null : route.at });

function Screens({ route }) {
  return html`
    <nav class="screens" aria-label="Screens">${SCREENS.map(([screen, name, key]) => html`
      <a href=${on(screen, route)} aria-current=${screen === route.screen ? "page" : null} title=${`g ${key}`}>${name}</a>`)}</nav>`;
}

function State({ state, retry }) {
  const words = {
    connecting: "connecting…", live: "live", refused: state.text,
    waiting: `reconnecting in ${state.seconds} s`,
  }[state.kind];
  return html`<span class=${"state " + state.kind} role="status"><span>${words}</span>${state.kind === "waiting" && html`
    <button class="link" onClick=${retry}>try now</button>`}</span>`;
}

function Help({ close }) {
  const [on, setOn] = useState(enabled());
  return html`
    <${Dialog} title="Keys" close=${close} buttons=${html`<button class="main" autofocus onClick=${close}>Close</button>`}>
      <dl class="keys">${KEYS.map(([key, what]) => html`<div><dt>${key}</dt><dd>${what}</dd></div>`)}</dl>
      <label class="switch"><input type="checkbox" checked=${on} onChange=${(event) => { enable(event.currentTarget.checked); setOn(event.currentTarget.checked); }} />
        Single keys do this everywhere (off: only where something is focused)</label>
    </${Dialog}>`;
}

const FLUSH = 100; // milliseconds: however much is committed, the page is drawn ten times a second
const WHY = {
  compacted: "History was compacted meanwhile: everything was read anew.",
  restored: "Another cluster answers, as after a restore: everything was read anew.",
};

function useLive(moment, feed, changed, started) {
  const [state, setState] = useState({ kind: "connecting" });
  const [told, setTold] = useState({ rev: 0, floor: 0 });
  const [notice, setNotice] = useState(null);
  const [live, setLive] = useState(null);
  useEffect(() => {
    let newest = 0, timer = null;
    const flush = () => {
      timer = null;
      setTold((before) => (newest > before.rev ? { ...before, rev: newest } : before));
    };
    const anew = ({ why }) => {
      if (why) setNotice(WHY[why]);
      if (why === "restored") {
        forget();
        newest = 0;
        go({ at: null, diff: null });
      }
      read(url("rev", null)).then((found) => {
        newest = Math.max(newest, found.rev);
        setTold({ rev: newest, floor: found.floor });
        moment.anew(newest, why === "restored");
        feed.tell("anew", found);
      }, () => {});
    };
    const onEvent = (name, data) => {
      if (name === "anew") anew(data);
      else if (name === "commit" || name === "mark") {
        newest = Math.max(newest, data.rev);
        if (name === "commit") moment.touch(data.rev, data.changes);
        timer ??= setTimeout(flush, FLUSH);
      }
      if (name !== "anew") feed.tell(name, data);
    };
    anew({}); // it does not wait for the stream
    const made = new Live(onEvent, setState);
    setLive(made);
    return () => { made.close(); clearTimeout(timer); };
  }, [started]);
  return { state, ...told, notice, quiet: () => setNotice(null), retry: () => live?.retry() };
}

function useKeys(route, show) {
  const before = useRef("");
  useShortcuts({
    "?": () => show("help"),
    "/": () => { const field = document.getElementById("path"); field?.focus(); field?.select(); },
    y: () => navigator.clipboard?.writeText(location.href),
  });
  useEffect(() => {
    const onKey = (event) => {
      const screen = before.current === "g" && meaning({ key: "?", target: event.target }) && SCREENS.find(([, , key]) => key === event.key);
      before.current = event.key;
      const does = screen ? () => go(parse(on(screen[0], route))) : meaning(event);
      if (!does) return;
      does();
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

function Finder({ route }) {
  const here = route.screen !== "tree" ? "" : route.q || (route.path === "/" ? "" : route.path);
  const submit = (event) => {
    event.preventDefault();
    const field = event.currentTarget.elements.path;
    find(field.value, route, route.screen === "tree" ? below() : "/");
    field.blur();
  };
  const below = () => (route.open.has(route.path) || route.path === "/" ? route.path : route.path.slice(0, route.path.lastIndexOf("/")) || "/");
  return html`<form role="search" onSubmit=${submit}><input id="path" name="path" aria-label="Find a path, a glob, or value: text" placeholder="/ path, glob, or value: text"
    autocomplete="off" spellcheck="false" key=${here} defaultValue=${here} onKeyDown=${(event) => event.key === "Escape" && event.currentTarget.blur()} /></form>`;
}

function App() {
  const route = useRoute();
  const [version, changed] = useReducer((number) => number + 1, 0);
  const [started, start] = useReducer((number) => number + 1, 0);
  const [shown, show] = useState(null);
  const moment = useMemo(() => new Moment(changed), []);
  const feed = useMemo(() => new Feed(), []);
  const { state, rev: latest, floor, notice, quiet, retry } = useLive(moment, feed, changed, started);
  useKeys(route, show);
  const session = useSession(started, start);
  const entered = () => { show(null); start(); };
  if (state.kind === "refused") return html`<${SignIn} text=${state.text} done=${entered} />`;
  if (shown === "signin") return html`<${SignIn} text="Show who you are." done=${entered} close=${() => show(null)} />`;

  return html`
    <div class=${"console" + (route.at === null ? "" : " past")}>
      <header>
        <h1><a class="brand" href=${format(parse(""))}>Visor</a></h1>
        <${Screens} route=${route} />
        <${Finder} route=${route} />
        <${State} state=${state} retry=${retry} />
        <nav class="more" aria-label="More"><${Who} session=${session} enter=${() => show("signin")} left=${start} /> <a href="/docs">API</a> <button class="link" onClick=${() => show("help")} aria-label="Keys">?</button></nav>
      </header>
      <${TabOnly} session=${session} />
      <p class="unseen" role="status">${route.at !== null ? "You look at the past. Nothing can be written here." : ""}</p>
      ${notice && html`<p class="notice" role="status">${notice} <button class="link" onClick=${quiet}>Close</button></p>`}
      ${route.screen !== "cluster" && html`<${Slider} route=${route} latest=${latest} floor=${floor} shown=${route.screen === "tree" ? moment.shown : null} />`}
      ${route.screen === "fleet" ? html`<${Later} key="fleet" load=${loadFleet} screen="Fleet" route=${route} latest=${latest} feed=${feed} />`
        : route.screen === "cluster" ? html`<${Later} key="cluster" load=${loadCluster} screen="Cluster" route=${route} />`
        : html`<${Explore} route=${route} latest=${latest} floor=${floor} feed=${feed} moment=${moment} version=${version} />`}
      ${shown === "help" && html`<${Help} close=${() => show(null)} />`}
    </div>`;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
