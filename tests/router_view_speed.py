"""How long RouterView takes in a real JupyterLab: from a turned knob to the painted picture, from a prompt to its view.

python tests/router_view_speed.py [--json] [--moves 50] [--size 256x8x64 ...]

Run it on a quiet machine. A move is one key on a focused slider or bar, or one step of a mouse that drags it; it ends
when the frame that shows it has been painted, and no further frame is asked for.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import lab  # tests/lab.py
import nbformat
from playwright.sync_api import Page

SIZES = ("71x4x16", "256x8x64")  # tokens x layers x experts

MADE_UP = """
import numpy as np
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import RouterView
rng = np.random.default_rng(0)
pieces = [f" word{{i % 90}}" if i % 3 else " of" for i in range({tokens})]
logits = rng.normal(size=({layers}, {tokens}, {experts}))
bias = rng.normal(size=({layers}, {experts})) * 0.01
RouterView(RoutingTrace.from_logits(logits, pieces, top_k={top_k}, bias=bias))
"""

SHIPPED = """
import torch
from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import tracer
from moe_lessons.training import load_checkpoint
from moe_lessons.widgets import RouterView
torch.set_num_threads(2)
model = load_checkpoint(data_path("checkpoints/course-moe.safetensors")).model.eval()
ask = tracer(model, Tokenizer.load())
RouterView(ask("Where does each token go?"), ask=ask)
"""

# From an event to the end of the frame in which nothing more is asked for.
STOPWATCH = """() => {
    if (window.stopwatch) return;
    const frame = window.requestAnimationFrame.bind(window);
    const cancel = window.cancelAnimationFrame.bind(window);
    const pending = new Set();
    window.requestAnimationFrame = (draw) => {
        const id = frame((time) => { pending.delete(id); draw(time); });
        pending.add(id);
        return id;
    };
    window.cancelAnimationFrame = (id) => { pending.delete(id); cancel(id); };
    const painted = (then) => frame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => then(performance.now());
        port2.postMessage(0);
    });
    const settled = window.settled = (then) => painted((time) => pending.size ? settled(then) : then(time));
    const times = window.stopwatch = [];
    let since = null;
    window.isTimed = () => since !== null;
    const start = (event) => {
        if (since !== null || !event.target.closest?.(".moe-router")) return;
        since = event.timeStamp;
        settled((time) => { times.push(time - since); since = null; });
    };
    window.addEventListener("input", (event) => event.target.type === "range" && start(event), true);
    const keyed = (event) => event.target.closest?.(".column, .moe-bin, .moe-token");
    window.addEventListener("keydown", (event) => keyed(event) && start(event), true);
    const dragged = (event) => event.buttons && event.target.closest?.("svg");
    window.addEventListener("pointermove", (event) => dragged(event) && start(event), true);
}"""


def moves(page: Page, n: int) -> dict[str, list[float]]:
    """The milliseconds of each of n moves, by knob."""

    def times_of(act) -> list[float]:
        # What led here, such as Home, may still be on its way: a move that begins in its time would not be counted.
        page.wait_for_function("() => !window.isTimed()", polling=5)
        page.evaluate("() => { window.stopwatch.length = 0 }")
        for i in range(n):
            act(i)
            page.wait_for_function(f"() => window.stopwatch.length > {i} && !window.isTimed()", polling=5)
            page.wait_for_timeout(20 + 7.3 * i % 17)  # a hand is not in step with the frames, 17 ms apart
        return page.evaluate("() => [...window.stopwatch]")

    result = {}
    page.locator(".moe-router-open").click()
    for knob in ("temperature", "topK", "noise", "capacity", "layer"):
        slider = page.locator(f".moe-router [data-knob={knob}]")
        slider.focus()
        size = slider.evaluate("e => Math.min(25, (e.max - e.min) / e.step)")
        key = "ArrowLeft" if knob == "capacity" else "ArrowRight"
        back = {"ArrowLeft": "ArrowRight", "ArrowRight": "ArrowLeft"}[key]
        if knob in ("topK", "layer"):  # wherever it opened
            page.keyboard.press("Home")
        result[knob] = times_of(lambda i: page.keyboard.press(key if i // size % 2 == 0 else back))  # noqa: B023
        page.keyboard.press("Home" if knob != "capacity" else "End")
    page.locator(".moe-router-reset").click()
    page.emulate_media(reduced_motion="reduce")  # else ribbons glide for as long as the eye needs
    page.locator(".moe-bin").nth(3).focus()
    result["expert off"] = times_of(lambda i: page.keyboard.press("Enter"))
    page.locator(".moe-token").nth(4).focus()
    result["token"] = times_of(lambda i: page.keyboard.press("ArrowRight"))
    if page.locator(".moe-router-reset").is_visible():
        page.locator(".moe-router-reset").click()
    page.locator("[data-panel=scores]").click()
    page.locator(".moe-router-scores .column").nth(1).focus()
    result["bias by keys"] = times_of(lambda i: page.keyboard.press("ArrowUp" if i // 25 % 2 == 0 else "ArrowDown"))
    page.locator(".moe-router-scores").scroll_into_view_if_needed()
    box = page.locator(".moe-router-scores .column .hit").nth(2).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 40
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 6)
    page.wait_for_timeout(200)
    result["bias by hand"] = times_of(lambda i: page.mouse.move(x, y - 6 - 2 * (i % 25) - 1))
    page.mouse.up()
    return result


def prompts(page: Page, n: int) -> list[float]:
    """The milliseconds from Enter in the prompt box to the painted view, for texts never seen before."""
    page.evaluate("""() => {
        window.stopwatch.length = 0;
        window.addEventListener("submit", () => {
            const began = performance.now();
            new MutationObserver((_, watch) => {
                watch.disconnect();
                window.settled((time) => window.stopwatch.push(time - began));
            }).observe(document.querySelector(".moe-router-strip"), { childList: true });
        }, true);
    }""")
    field = page.locator(".moe-router input[type=text]")
    for i in range(n):
        field.fill(f"The function returns {i} words that nobody wrote before, and raises an error if there are none.")
        field.press("Enter")
        page.wait_for_function(f"() => window.stopwatch.length > {i}", polling=5, timeout=5_000)
        page.wait_for_timeout(150)
    return page.evaluate("() => [...window.stopwatch]")


def measure(sizes: list[str], n: int) -> dict[str, dict[str, list[float]]]:
    """The milliseconds of everything, by size and knob."""
    result: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = {"shipped": SHIPPED}
        for size in sizes:
            tokens, layers, experts = map(int, size.split("x"))
            sources[size] = MADE_UP.format(
                tokens=tokens, layers=layers, experts=experts, top_k=2 if experts < 32 else 6
            )
        for name, source in sources.items():
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
            notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(notebook, Path(folder) / f"{name}.ipynb")
        with lab.server(Path(folder)) as address:
            for name in sources:
                with lab.browser() as page:
                    lab.open_notebook(page, address, f"{name}.ipynb", alone=True)
                    lab.run_all(page)
                    page.locator(".moe-router").scroll_into_view_if_needed()
                    page.evaluate(STOPWATCH)
                    page.wait_for_timeout(500)
                    result[name] = {"prompt": prompts(page, min(n, 20))} if name == "shipped" else moves(page, n)
                    assert page.problems == [], page.problems  # type: ignore[attr-defined]
    return result


def main() -> int:
    """Measure and print: medians and 95th percentiles in milliseconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", action="append", help="tokens x layers x experts, such as 256x8x64")
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    everything = measure(args.size or list(SIZES), args.moves)
    if args.json:
        print(json.dumps(everything))
        return 0
    for name, knobs in everything.items():
        for knob, times in knobs.items():
            high = statistics.quantiles(times, n=20)[-1]
            print(f"{name:10} {knob:14} median {statistics.median(times):6.1f} ms   95% under {high:6.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
