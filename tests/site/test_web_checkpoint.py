"""The checkpoint of the page: its size, what eight bits change, and what the browser says of a broken one."""

import base64
import random
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from in_node import ask_site, run_module
from torch.nn import functional as F

from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.site.web_checkpoint import in_eight_bits, read_web_checkpoint, write_web_checkpoint
from moe_lessons.text.grammars import GermanStories, JsonRecords
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.ask import tracer
from moe_lessons.tracing.record import observe_routing
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.training.checkpoint import load_checkpoint
from moe_lessons.widgets.router_view.sent import arrays_of, facts_of

SHIPPED = data_path("checkpoints/course-moe.safetensors")
MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("site") / "course-moe.safetensors"
    assert write_web_checkpoint(SHIPPED, path) == path.stat().st_size
    return path


def with_weights_of(path: Path) -> Transformer:
    model = load_checkpoint(SHIPPED).model
    model.load_state_dict({name: torch.from_numpy(w) for name, w in read_web_checkpoint(path).items()}, strict=False)
    return model


def test_eight_bits_are_the_nearest_multiples_of_a_rows_scale():
    weights = np.random.default_rng(0).normal(size=(3, 5, 64)).astype(np.float16)
    weights[1, 2] = 0
    whole, scale = in_eight_bits(weights)
    assert whole.dtype == np.int8 and whole.min() >= -127 and whole.shape == weights.shape
    found = whole * scale[..., None].astype(np.float32)
    # Half a step, and at the largest number what the scale's own rounding adds up to: 127 times 2 ** -11 of it.
    assert (np.abs(found - weights) <= 0.57 * scale[..., None].astype(np.float32)).all()
    assert not found[1, 2].any() and scale[1, 2] == 0


def test_the_sparse_model_comes_in_six_megabytes(web):
    assert web.stat().st_size < MOST_BYTES
    assert sum(weights.size for weights in read_web_checkpoint(web).values()) > 5_000_000


def test_a_dense_checkpoint_keeps_all_its_numbers(tmp_path):
    source = data_path("checkpoints/course-dense.safetensors")
    write_web_checkpoint(source, tmp_path / "dense.safetensors")
    weights = read_web_checkpoint(tmp_path / "dense.safetensors")
    for name, tensor in load_checkpoint(source).model.state_dict().items():
        assert name == "head.weight" or np.array_equal(weights[name], tensor.numpy())


def test_routes_guesses_and_costs_stay_with_eight_bits(web):
    """Of 24,576 held-out tokens, in November 2026: 99.5% of routes, 99.0% of first guesses, 0.0001 nats."""
    tokenizer = Tokenizer.load()
    rng = random.Random(5)
    samples = ("\n".join(grammar.sample(rng).text for _ in range(9)) for grammar in (GermanStories(), JsonRecords()))
    texts = [tokenizer.encode(sample)[:255] for sample in samples]
    results = []
    for model in (load_checkpoint(SHIPPED).model, with_weights_of(web)):
        routes, guesses, costs = [], [], []
        for text in texts:
            ids = torch.tensor([[0, *text]])
            with observe_routing(model) as seen, torch.no_grad():
                logits = model(ids)[0]
            routes += [seen[layer].experts.sort(dim=-1).values for layer in range(4)]
            guesses.append(logits.argmax(dim=-1))
            costs.append(F.cross_entropy(logits[:-1], ids[0, 1:]))
        results.append((torch.cat(routes), torch.cat(guesses), torch.stack(costs).mean()))
    (routes, guesses, cost), (routes_8, guesses_8, cost_8) = results
    assert (routes == routes_8).all(dim=-1).float().mean() > 0.98
    assert (guesses == guesses_8).float().mean() > 0.97
    assert abs(cost - cost_8) < 0.005


def test_the_browser_reads_eight_bits_as_python_does(node, web, tmp_path):
    ids = [0, *Tokenizer.load().encode("Es war einmal ein kleiner Fuchs, der 47 + 386 = rechnete.")]
    ask_site(node, "passes", {"ids": [ids], "out": str(tmp_path / "logits")}, web)
    found = np.fromfile(tmp_path / "logits", dtype="<f4").reshape(len(ids), -1)
    with torch.no_grad():
        want = with_weights_of(web)(torch.tensor([ids]))[0].numpy()
    assert np.abs(found - want).max() < 1e-4


def applied_to(node: str, trace: RoutingTrace, web: Path) -> dict:
    """What the page's model answers, asked to apply a knob to a trace that somebody else recorded."""
    recorded = {"facts": facts_of(trace), "arrays": base64.b64encode(arrays_of(trace)).decode()}
    value = {"text": "x", "traits": recorded, "messages": [{"apply": {"top_k": 1}}]}
    return ask_site(node, "messages", value, web)[-1]


def test_knobs_apply_to_a_trace_of_the_shipped_model_and_to_no_other(node, web):
    model, tokenizer = load_checkpoint(SHIPPED).model, Tokenizer.load()
    trace = tracer(model, tokenizer, "course-moe")("Es war einmal.")
    changes = applied_to(node, trace, web)
    assert changes["message"] == "" and len(changes["applied"]["after"]["nats"]) == trace.n_tokens
    noise = np.random.default_rng(0).normal(size=trace.logits.shape) * 0.3 * trace.logits.std()
    changes = applied_to(node, replace(trace, logits=trace.logits + noise), web)
    assert changes["message"].startswith("The trace is of another model") and changes["applied"] == {}
    changes = applied_to(node, trace.select(layers=[0, 1]), web)
    assert changes["message"].startswith("The trace has the layers 0, 1 and 1 texts, but this model routes one text")
    changes = applied_to(node, replace(trace, pieces=["?!?"] * trace.n_tokens), web)
    assert changes["message"] == "The trace has tokens that this model cannot read; ask this model for a trace."


def test_a_checkpoint_that_is_cut_off_or_foreign_is_one_sentence(node, web):
    size = web.stat().st_size
    foreign = [b"<!doctype html><title>404</title>", b"", b"PK\x03\x04" + bytes(90), b"\x02" + bytes(7) + b"{}"]
    parts = [size, size - 1, size // 2, 2000, 100, 8, 7, *(base64.b64encode(data).decode() for data in foreign)]
    name, *answers = ask_site(node, "files", parts, web)
    assert name == "model"
    words = [answer["error"] for answer in answers]
    assert all(word.endswith(".") and word.count(". ") == 0 and len(word) < 160 for word in words), words
    assert [("is cut off" in word) for word in words] == [True] * 4 + [False] * 6
    assert f"{size - 1:,} of {size:,} bytes" in words[0]


def test_a_source_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.safetensors is no checkpoint of moe-lessons"):
        write_web_checkpoint(tmp_path / "x.safetensors", tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


class Host(SimpleHTTPRequestHandler):
    """A web server that breaks off in the middle of a file named cut."""

    def do_GET(self) -> None:
        if not self.path.startswith("/cut"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(bytes(5000))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host(tmp_path):
    (tmp_path / "weights.bin").write_bytes(np.random.default_rng(0).bytes(300_000))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_bytes_come_with_progress_and_the_second_time_from_the_browser(node, host, tmp_path):
    """Node has no Cache Storage: a small one stands in for it."""
    script = """
const store = new Map();
const cache = {
  match: async (url) => store.get(url)?.clone(),
  put: async (url, response) => void store.set(url, response),
  delete: async (url) => store.delete(url),
  keys: async () => [...store.keys()].map((url) => ({ url })),
};
globalThis.caches = { open: async () => cache };
const told = [];
const isKept = async (version) => {
  while ([...store.keys()].join() !== `${value}/weights.bin?v=${version}`) await new Promise(setImmediate);
};
const options = { cacheName: "x", onProgress: (received, total) => told.push([received, total]) };
const first = await m.download(`${value}/weights.bin?v=1`, options);
const again = told.length;
await isKept(1); // after the bytes are there, not before
const second = await m.download(`${value}/weights.bin?v=1`, options);
await m.download(`${value}/weights.bin?v=2`, options);
await isKept(2);
const sum = (bytes) => [bytes.length, bytes.reduce((a, b) => (a * 31 + b) % 1000003, 0)];
return { first: sum(first), same: sum(second), told: told.slice(0, again), hit: told[again], kept: [...store.keys()] };
"""
    found = run_module(node, "site/model/download", script, host)
    data = (tmp_path / "weights.bin").read_bytes()
    check = 0
    for byte in data:
        check = (check * 31 + byte) % 1000003
    assert found["first"] == found["same"] == [len(data), check]
    received = [pair[0] for pair in found["told"]]
    assert received == sorted(received) and found["told"][-1] == [len(data), len(data)] == found["hit"]
    assert found["kept"] == [f"{host}/weights.bin?v=2"]


def test_a_download_that_fails_is_one_sentence(node, host):
    script = """
const tries = ["/cut.bin", "/none.bin", "/weights.bin"].map((name) => [value + name, name === "/weights.bin" ? 7 : 0]);
tries.push(["http://127.0.0.1:1/x.bin", 0]);
const words = [];
for (const [url, size] of tries) await m.download(url, { size }).catch((error) => words.push(error.message));
return words;
"""
    assert run_module(node, "site/model/download", script, host) == [
        "cut.bin was cut off after 5,000 of 100,000 bytes; load the page again.",
        "none.bin is not on the host (status 404); build the site again.",
        "weights.bin has 300,000 bytes, but must have 7; build the site again.",
        "x.bin could not be fetched; look whether the host is there, and load the page again.",
    ]
