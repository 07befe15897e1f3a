// The whole of it: what is shown, what is live, which keys do what.
import { render } from "./vendor/preact.mjs";
import { useEffect, useMemo, useReducer, useRef, useState } from "./vendor/hooks.mjs";
import { read, url } from "./api.js";
import { Cluster } from "./cluster.js";
import { File } from "./file.js";
import { Fleet } from "./fleet.js";
import { html } from "./html.js";
import { Feed, Live } from "./live.js";
import { format, go, parse } from "./route.js";
import { SignIn, TabOnly, useSession, Who } from "./signin.js";
import { Slider } from "./slider.js";
import { Directories, rowsOf, Tree } from "./tree.js";

const SCREENS = [["tree", "Tree", "t"], ["fleet", "Fleet", "f"], ["cluster", "Cluster", "c"]];

const KEYS = [
  ["g t, g f, g c", "tree, fleet, cluster"], ["↑ ↓ or k j", "go through the files"], ["→ ←", "open, close a directory"], ["/", "go to a path"],
  [", .", "one commit back, on"], ["l", "back to now"], ["y", "copy the link"], ["?", "this help"], ["Esc", "close"],
];

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
  return html`<span class=${"state " + state.kind} role="status">${words}${state.kind === "waiting" && html`
    <button class="link" onClick=${retry}>try now</button>`}</span>`;
}

function Help({ close }) {
  return html`
    <div class="veil" onClick=${close}><div role="dialog" aria-modal="true" aria-label="Keys" class="dialog">
      <h3>Keys</h3><dl class="facts">${KEYS.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
      <div class="buttons"><button ref=${(button) => button?.focus()} onClick=${close}>Close</button></div></div></div>`;
}

function useLive(directories, feed, changed, started) {
  const [state, setState] = useState({ kind: "connecting" });
  const [latest, setLatest] = useState(0);
  const [live, setLive] = useState(null);
  useEffect(() => {
    const onEvent = (name, data) => {
      if (name === "anew") {
        read(url("rev", null)).then((told) => { setLatest(told.rev); feed.tell("anew", told); }, () => {});
        directories.again();
      } else if (name === "commit" || name === "mark") {
        setLatest((before) => Math.max(before, data.rev));
        if (name === "commit" && directories.at === null) directories.touch(data.changes);
      }
      if (name !== "anew") feed.tell(name, data);
      changed();
    };
    const made = new Live(onEvent, setState);
    setLive(made);
    return () => made.close();
  }, [started]);
  return [state, latest, () => live?.retry()];
}

function useKeys(route, latest, show) {
  const before = useRef("");
  useEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") return show(null);
      if (/^(input|textarea)$/i.test(event.target.tagName)) return;
      const rev = route.at ?? latest;
      const screen = before.current === "g" && SCREENS.find(([, , key]) => key === event.key);
      before.current = event.key;
      if (screen) { location.hash = on(screen[0], route); return event.preventDefault(); }
      const does = {
        "?": () => show("help"),
        "/": () => document.getElementById("path")?.focus(),
        ",": () => go({ at: Math.max(1, rev - 1) }),
        ".": () => go({ at: rev + 1 >= latest ? null : rev + 1 }),
        l: () => go({ at: null }),
        y: () => navigator.clipboard?.writeText(location.href),
      }[event.key];
      if (does) { does(); event.preventDefault(); }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

function Panes({ directories, route, latest, version }) {
  const kind = rowsOf(directories, route.open).find((row) => row.full === route.path)?.kind;
  return html`
    <div class="panes">
      <${Tree} directories=${directories} route=${route} version=${version} />
      <${File} route=${route} version=${route.at === null ? latest : route.at} kind=${kind} key=${route.path} />
    </div>`;
}

function App() {
  const [route, setRoute] = useState(() => parse(location.hash));
  const [version, changed] = useReducer((number) => number + 1, 0);
  const [started, start] = useReducer((number) => number + 1, 0);
  const [shown, show] = useState(null);
  const directories = useMemo(() => new Directories(changed), []);
  const feed = useMemo(() => new Feed(), []);
  const [state, latest, retry] = useLive(directories, feed, changed, started);
  useKeys(route, latest, show);
  useEffect(() => {
    const onHash = () => setRoute(parse(location.hash));
    addEventListener("hashchange", onHash);
    return () => removeEventListener("hashchange", onHash);
  }, []);
  useEffect(() => { // flashes settle
    const timer = setTimeout(changed, 1300);
    return () => clearTimeout(timer);
  }, [latest]);
  const session = useSession(started, start);
  directories.move(route.at);
  const entered = () => { show(null); start(); };
  if (state.kind === "refused") return html`<${SignIn} text=${state.text} done=${entered} />`;
  if (shown === "signin") return html`<${SignIn} text="Show who you are." done=${entered} close=${() => show(null)} />`;

  const jump = (event) => {
    event.preventDefault();
    const path = new FormData(event.currentTarget).get("path");
    const parts = path.split("/").filter(Boolean);
    const open = new Set([...route.open, ...parts.slice(0, -1).map((_, place) => "/" + parts.slice(0, place + 1).join("/"))]);
    go({ screen: "tree", path: "/" + parts.join("/"), open });
  };
  const here = route.screen === "tree" && route.path !== "/" ? route.path : "";
  return html`
    <div class=${"console" + (route.at === null ? "" : " past")}>
      <header>
        <h1><a class="brand" href=${format(parse(""))}>Visor</a></h1>
        <${Screens} route=${route} />
        <form onSubmit=${jump}><input id="path" name="path" aria-label="Go to a path" placeholder="/ go to a path" autocomplete="off" key=${here} defaultValue=${here} /></form>
        <${State} state=${state} retry=${retry} />
        <nav class="more" aria-label="More"><${Who} session=${session} enter=${() => show("signin")} left=${start} /> <a href="/docs">API</a> <button class="link" onClick=${() => show("help")} aria-label="Keys">?</button></nav>
      </header>
      <${TabOnly} session=${session} />
      ${route.at !== null && html`<p class="banner" role="status">You look at rev ${route.at}: the past. Nothing can be written here.</p>`}
      ${route.screen !== "cluster" && html`<${Slider} route=${route} latest=${latest} version=${latest} />`}
      ${route.screen === "fleet" ? html`<${Fleet} route=${route} latest=${latest} feed=${feed} />`
        : route.screen === "cluster" ? html`<${Cluster} route=${route} />`
        : html`<${Panes} directories=${directories} route=${route} latest=${latest} version=${version} />`}
      ${shown === "help" && html`<${Help} close=${() => show(null)} />`}
    </div>`;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
