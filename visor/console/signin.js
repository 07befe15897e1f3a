// Signing in and out, who one is, and what one may: what somebody may not do is not offered.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { ask, post, read, url } from "./api.js";
import { html } from "./html.js";
import { hold, listen } from "./session.js";
import { when } from "./words.js";

const SESSION = url("session", null);
const MOST = 200;
const known = new Map(); // files -> what one may with them

export async function signIn(token) {
  hold(null, null);
  const told = await post(SESSION, { token });
  hold(null, told.key);
  known.clear();
  const now = await read(SESSION).catch(() => ({}));
  if (now.by !== "session") hold(token, null); // the browser has not kept the cookie
}

export async function signOut() {
  await ask(SESSION, { method: "DELETE" }).catch(() => {}); // the key goes, and the cookie is nobody without it
  hold(null, null);
  known.clear();
}

// Who one is to the registry; `again` when somebody signs in or out, here or in another tab.
export function useSession(started, again) {
  const [told, setTold] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    read(SESSION, { signal: abort.signal }).then(setTold, (error) => error.name !== "AbortError" && setTold(null));
    return () => abort.abort();
  }, [started]);
  useEffect(() => listen(() => { known.clear(); again(); }), []);
  return told;
}

// Rights on a path, or with `tree` on all at or below it: { read, history, write, admin }; none of them until they are known.
export function useMay(path, tree) {
  const files = tree ? (path === "/" ? "/**" : `${path}/**`) : path;
  const [may, setMay] = useState(known.get(files) ?? {});
  useEffect(() => {
    if (known.has(files)) return setMay(known.get(files));
    setMay({});
    const abort = new AbortController();
    read(url("can", null, { glob: files }), { signal: abort.signal }).then((told) => {
      if (known.size >= MOST) known.clear();
      known.set(files, told.may);
      setMay(told.may);
    }, () => {});
    return () => abort.abort();
  }, [files]);
  return may;
}

export function SignIn({ done, text, close }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      await signIn(token.trim());
      done();
    } catch (error) { setProblem(error); }
  };
  return html`
    <form class="signin" onSubmit=${submit}>
      <h1>Visor</h1><p>${text}</p>
      <label>Token <input type="password" autocomplete="off" value=${token} autofocus required
        onInput=${(event) => setToken(event.currentTarget.value)} placeholder="vis_…" /></label>
      ${problem && html`<p role="alert" class="problem">${problem.message}</p>`}
      <p class="hint">This browser keeps it until you sign out, twelve hours at most, where no script can read it.
        <code>visor token add NAME --ttl 12h</code> makes one.</p>
      <div class="buttons"><button class="main">Sign in</button>${close && html`<button type="button" onClick=${close}>Cancel</button>`}</div>
    </form>`;
}

export function Who({ session, enter, left }) {
  if (!session) return null;
  if (session.by === "nothing") return html`<button class="link" onClick=${enter}>Sign in</button>`;
  const out = async () => { await signOut(); left(); };
  const until = session.expires ? `until ${when(session.expires)}` : "";
  return html`<span class="who" title=${until}>${session.user}</span> <button class="link" onClick=${out}>Sign out</button>`;
}

export function TabOnly({ session }) {
  const [seen, see] = useState(false);
  if (seen || session?.by !== "header") return null;
  return html`
    <p class="banner note" role="status">You are signed in for this tab only: browsers keep no session where a page does not come by TLS.
      <button class="link" onClick=${() => see(true)}>All right</button></p>`;
}
