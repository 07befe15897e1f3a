"""The console in a browser: how soon it shows something, and how soon each step of a drag through time.

A million keys: nine hundred directories of a thousand, and one of a hundred thousand. Then a hundred thousand revs
more, each another key's. Chromium (of the system, driven by playwright) opens the console of a gateway process, with
both kinds of directories open and a file selected:

    first paint     when the browser has painted something, and when the rows of the tree are there
    a step          from the input of the slider to the repaint of rows, value and words, one step after another: first
                    over all revs, then over the hundred thousand at which all keys are there
    a fast drag     an input every 16 ms: how far apart the repaints are

Goals: first paint below 300 ms, a step below 50 ms in 95 of 100 cases. The times are the page's own: a repaint is over
when a task runs behind the frame that has it, so that up to 17 ms of a time are the wait for a frame.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import visor.aio
from benchmarks.figures import Row, latencies, percentile
from benchmarks.process import Child
from benchmarks.registry import Registry
from visor import op

DIRECTORIES: Final = 900
EACH: Final = 1_000
LARGE: Final = 100_000
REVS: Final = 100_000
SMALL: Final = 100
"""What `--quick` divides all of that by."""
STEPS: Final = 200
PORTION: Final = 1_000
IN_FLIGHT: Final = 256
OPENINGS: Final = 5

MEASURE: Final = """
async ([steps, pause, filled]) => {
  const slider = document.querySelector(".strip input"), tree = document.querySelector(".tree");
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const rev = () => Number(/rev ([0-9]+)/.exec(slider.getAttribute("aria-valuetext"))[1]);
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const move = (step) => { setter.call(slider, step); slider.dispatchEvent(new Event("input", { bubbles: true })); };
  const { revs } = await (await fetch("/v1/density?buckets=200")).json();  // as the slider has
  const low = 10 * Math.max(10, revs.findIndex((each) => each >= filled)), wide = 1999 - low;
  const times = [], places = [...Array(steps)].map((_, i) => low + ((i * 617) % wide));
  if (!pause) {
    for (const place of places) {
      const before = tree.dataset.rev, began = performance.now();
      move(place);
      for (;;) {
        await frame();
        const same = tree.dataset.rev === before, took = performance.now() - began;
        if (!same && Number(tree.dataset.rev) === rev()) { times.push(took); break; }
        if (same && took > 2000 && Number(before) === rev()) break;  // both places are of one rev: nothing to paint
        if (took > 20000) throw new Error(`no repaint: ${tree.dataset.rev} ${rev()}`);
      }
    }
    return times;
  }
  let shown = tree.dataset.rev, last = performance.now(), over = false;
  const watch = (async () => {
    while (!over) {
      await frame();
      if (tree.dataset.rev === shown) continue;
      shown = tree.dataset.rev;
      times.push(performance.now() - last);
      last = performance.now();
    }
  })();
  for (let i = 0; i < steps * 2; i++) {
    move(low + ((i * 7) % wide));
    await new Promise((done) => setTimeout(done, pause));
  }
  over = true;
  await watch;
  return times;
}
"""


def rows(quick: bool = False, parent: Path | None = None) -> Iterator[Row]:
    """Yield what filling, opening and dragging took."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        yield "the console: not measured, it takes chromium and playwright", 0, 0.0, {}
        return
    scale = SMALL if quick else 1
    with Registry(parent=parent) as node:
        address = f"{node.address[0]}:{node.address[1]}"
        began = time.monotonic()
        keys = asyncio.run(_fill(address, scale))
        filled = keys // PORTION
        yield f"{keys:,} keys", keys, time.monotonic() - began, {"rss_mb": node.memory()}
        began = time.monotonic()
        revs = asyncio.run(_change(address, scale))
        yield f"{revs:,} revs more", revs, time.monotonic() - began, {"rss_mb": node.memory()}
        command = [sys.executable, "-m", "visor", "gateway", "--listen", "127.0.0.1:0", "--addr", address]
        with Child(command) as gateway, sync_playwright() as tool:
            url = gateway.line("http://", 60)
            browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            try:
                yield from _opened(browser, url, STEPS // (10 if quick else 1), filled)
            finally:
                browser.close()


async def _fill(address: str, scale: int) -> int:
    """Write all keys, many at one rev; return how many."""
    each = EACH if scale == 1 else EACH // 10
    directories = DIRECTORIES if scale == 1 else DIRECTORIES // 10
    paths = [f"/fleet/r{number:03}/h{host:04}" for number in range(directories) for host in range(each)]
    paths += [f"/fleet/large/k{number:06}" for number in range(LARGE // scale)]
    async with await visor.aio.dial(address) as client:
        for first in range(0, len(paths), PORTION):
            portion = paths[first : first + PORTION]
            await client.txn({}, [op.set(path, b'{"state":"up","load":0}') for path in portion], note="fill")
    return len(paths)


async def _change(address: str, scale: int) -> int:
    """Write one key a rev, all over the tree; return how many revs that were."""
    count, large = REVS // scale, LARGE // scale
    numbers = iter(range(count))

    async def some(client: Any) -> None:
        for number in numbers:
            value = b'{"state":"up","load":%d}' % number
            if number % 4:
                await client.set(f"/fleet/large/k{number * 7919 % large:06}", value)
            else:
                await client.set(f"/fleet/r000/h{number * 31 % 100:04}", value, note="load")

    async with await visor.aio.dial(address) as client:
        await asyncio.gather(*(some(client) for _ in range(IN_FLIGHT)))
    return count


def _opened(browser: Any, url: str, steps: int, filled: int) -> Iterator[Row]:
    place = "#/tree/fleet/large/k000010?open=/fleet,/fleet/large,/fleet/r000"
    paints, there = [], []
    for _ in range(OPENINGS):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(f"{url}/{place}")
        page.locator(".tree .row .name", has_text="k000010").first.wait_for()
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        paints.append(page.evaluate(paint))
        there.append(page.evaluate("performance.getEntriesByName('rows')[0].startTime"))
        context.close()
    yield _row("first paint", paints)
    yield _row("rows are there", there)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{url}/{place}")
    page.locator(".strip input").wait_for()
    page.locator(".tree .row .name", has_text="k000010").first.wait_for()
    yield _row("a step, while the tree grows", page.evaluate(MEASURE, [steps, 0, 0]))
    yield _row("a step, the top of 100,000", page.evaluate(MEASURE, [steps, 0, filled]))
    page.evaluate("document.querySelector('.tree').scrollTop = 1500000")
    page.wait_for_timeout(500)
    yield _row("a step, in the middle of them", page.evaluate(MEASURE, [steps, 0, filled]))
    yield _row("a fast drag: between repaints", page.evaluate(MEASURE, [steps, 16, filled]))
    context.close()


def _row(name: str, times: list[float]) -> Row:
    """Return a row of times that a page has measured, in milliseconds."""
    seconds = [one / 1e3 for one in times]
    figures = latencies(seconds)
    p95 = percentile(sorted(seconds), 0.95) * 1e3
    return name, len(seconds), sum(seconds), {**figures, "p95_ms": round(p95, 1)}
