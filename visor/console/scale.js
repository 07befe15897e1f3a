// Another number of instances: what it would do is shown first, and it is only done to what was seen.
import { useEffect, useState } from "./vendor/hooks.mjs";
import { post, url } from "./api.js";
import { Modal } from "./modal.js";
import { words } from "./fleetdata.js";
import { html } from "./html.js";

const MOST = 10000;

function Foreseen({ dry }) {
  if (!dry) return html`<p class="hint" role="status">Looking at what would change…</p>`;
  const stop = dry.going.filter(({ move }) => move === "stop");
  const back = dry.going.length - stop.length;
  return html`
    <div class="foreseen" role="status">
      ${dry.previous === dry.count && html`<p>Nothing would change: there are ${dry.count}.</p>`}
      ${dry.register > 0 && html`<p><b>+${dry.register}</b> ${dry.register === 1 ? "is" : "are"} registered, and ${dry.register === 1 ? "waits" : "wait"} for a host.</p>`}
      ${back > 0 && html`<p><b>−${back}</b> that nobody has claimed yet ${back === 1 ? "is" : "are"} taken back.</p>`}
      ${stop.length > 0 && html`<p><b>−${stop.length}</b> ${stop.length === 1 ? "is" : "are"} asked to stop, the oldest first:</p>
        <ul>${stop.slice(0, 50).map(({ id, host, state }) => html`<li key=${id}>${id} on ${host} (${state})</li>`)}</ul>
        ${stop.length > 50 && html`<p class="hint">and ${stop.length - 50} more</p>`}`}
    </div>`;
}

export function Scale({ app, group, there, close }) {
  const [seen, see] = useState(there);
  const [wanted, want] = useState(group.target ?? there);
  const [dry, setDry] = useState(null);
  const [problem, setProblem] = useState(null);
  const [doing, setDoing] = useState(false);
  const body = { revision: group.revision, proc: group.proc, count: wanted, expect: seen, ...(group.env ? { env: group.env } : {}) };
  const fits = Number.isInteger(wanted) && wanted >= 0 && wanted <= MOST;

  useEffect(() => {
    if (!fits) return setDry(null);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      post(url("apps", `/${app}/scale`, { dry_run: 1 }), body, abort.signal).then(
        (told) => { setDry(told); setProblem(null); },
        (error) => error.name !== "AbortError" && (setDry(null), setProblem(error)),
      );
    }, dry ? 120 : 0);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [wanted, seen]);

  const act = async (event) => {
    event.preventDefault();
    if (!dry || doing) return;
    setDoing(true);
    try {
      await post(url("apps", `/${app}/scale`), body);
      close();
    } catch (error) { setProblem(error); setDoing(false); }
  };
  const conflict = there !== seen || problem?.told?.status === 409;
  return html`
    <${Modal} title=${`Scale ${app} ${words(group)}`} close=${close}>
      <form onSubmit=${act}>
        <p class="soft">There ${seen === 1 ? "is" : "are"} ${seen} now${group.target === null ? "" : `, and ${group.target} ${group.target === 1 ? "was" : "were"} asked for last`}.</p>
        <div class="stepper">
          <button type="button" aria-label="One fewer" disabled=${wanted <= 0} onClick=${() => want(wanted - 1)}>−</button>
          <input type="number" min="0" max=${MOST} step="1" aria-label="How many instances" value=${wanted} autofocus
                 onInput=${(event) => want(event.currentTarget.value === "" ? NaN : Number(event.currentTarget.value))} />
          <button type="button" aria-label="One more" disabled=${wanted >= MOST} onClick=${() => want((wanted || 0) + 1)}>+</button>
        </div>
        <h4>What happens</h4>
        ${fits ? !problem && html`<${Foreseen} dry=${dry} />` : html`<p class="problem" role="alert">A whole number from 0 to ${MOST} is expected.</p>`}
        ${conflict
          ? html`<p class="problem" role="alert">The number changed meanwhile. <button type="button" class="link" onClick=${() => { see(there); setProblem(null); }}>Look again</button></p>`
          : problem && html`<p class="problem" role="alert">${problem.message}</p>`}
        <div class="buttons">
          <button type="button" onClick=${close}>Cancel</button>
          <button class="main" disabled=${!dry || doing || !fits || conflict || dry.previous === dry.count}>${fits ? `Scale to ${wanted}` : "Scale"}</button>
        </div>
      </form>
    </${Modal}>`;
}

