"""The plane of lesson 05: browser, still picture and package answer alike, and bad input is one sentence."""

import json

import numpy as np
import pytest
import torch
from in_node import javascript
from torch.nn import functional as F

from moe_lessons.config import MoEConfig
from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.figures.lesson_05 import draw_heights, draw_luck, draw_pull
from moe_lessons.figures.plane import PlaneRun, Truth, draw_planes, grid, mix, right_answer, seams, shade
from moe_lessons.model.router import Router
from moe_lessons.widgets import ExpertPlane
from moe_lessons.widgets.shared.view import png


def a_run(seed: int = 0, experts: int = 6, moments: int = 3, noisy: bool = False, **rule) -> PlaneRun:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(moments, experts, 3)).astype(np.float32) * size for size in (2.0, 1.0, 0.5)]
    loss, steps = np.linspace(1.5, 0.1, moments), np.arange(moments) * 10
    rule = {"top_k": 2} | rule
    return PlaneRun(f"run {seed}", steps, parts[0], parts[1], loss, noise=parts[2] if noisy else None, **rule)


def a_truth(pieces: int = 4) -> Truth:
    rng = np.random.default_rng(7)
    return Truth(rng.normal(size=(pieces, 3)), rng.normal(size=(pieces, 3)))


RULES = [
    {"top_k": 6},
    {"top_k": 2},
    {"top_k": 1},
    {"top_k": 1, "normalize": False},
    {"top_k": 3, "normalize": False},
    {"top_k": 2, "score_function": "sigmoid"},
    {"top_k": 1, "score_function": "sigmoid", "normalize": False},
    {"top_k": 2, "score_function": "sqrt_softplus"},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_browser_picture_and_package_give_a_point_the_same_experts_weights_and_answer(node, rule):
    run, points = a_run(3, **rule), np.random.default_rng(1).uniform(-3, 3, size=(200, 3))
    points[:, 2] = 1
    run.router[1, 4] = run.router[1, 2]  # ties everywhere
    view = ExpertPlane([run], extent=3.0)
    answers = javascript(
        node,
        "expert_plane/rule",
        """(() => {
            const [run] = m.unpackRuns(value.runs, Float32Array.from(value.numbers));
            const at = m.mixture(run, 1);
            return value.points.map(([x, y]) => {
                const found = at(x, y);
                return [[...found.order], [...found.weights], [...found.scores], found.value];
            });
        })()""",
        {
            "runs": view.runs,
            "numbers": np.frombuffer(view.numbers, dtype="<f4").tolist(),
            "points": points.tolist(),
        },
    )
    order, weights, scores, value = (np.array(column) for column in zip(*answers, strict=True))
    routed, mixed = mix(run, 1, points)
    assert np.array_equal(order, routed.experts)
    assert np.allclose(weights, routed.weights) and np.allclose(scores, routed.scores) and np.allclose(value, mixed)
    router = Router(3, MoEConfig(n_routed_experts=6, hidden_dim=1, **rule))
    router.weight.data = torch.tensor(run.router[1])
    routing = router(torch.tensor(points, dtype=torch.float32))
    answers = torch.tensor(points, dtype=torch.float32) @ torch.tensor(run.planes[1]).T
    expected = (routing.weights * answers.gather(1, routing.experts)).sum(dim=1).detach().numpy()
    assert np.allclose(mixed, expected, atol=1e-4)
    assert np.allclose(routed.weights, routing.weights.detach().numpy(), atol=1e-5)


def test_the_truth_and_its_seams_are_the_same_in_both_languages(node):
    truth, points = a_truth(), grid(2.0, 20)
    found = javascript(
        node,
        "expert_plane/rule",
        "[value.points.map(([x, y]) => m.rightAnswer(value.truth, x, y)), m.seams(value.truth, 2)]",
        {"truth": np.concatenate([truth.borders, truth.planes]).ravel().tolist(), "points": points.tolist()},
    )
    assert np.allclose(found[0], right_answer(truth, points))
    mine = seams(truth, 2.0)
    assert len(found[1]) == len(mine)
    for line, other in zip(mine, found[1], strict=True):
        ends, others = np.array(line).reshape(2, 2), np.array(other).reshape(2, 2)
        assert min(abs(ends - others).max(), abs(ends - others[::-1]).max()) < 0.02


def test_a_right_answer_is_that_of_the_piece_with_the_largest_border():
    truth = Truth(np.array([[1.0, 0, 0], [-1, 0, 0]]), np.array([[0.0, 0, 5], [0, 1, 0]]))
    assert right_answer(truth, np.array([[2.0, 3, 1], [-2, 3, 1]])).tolist() == [5, 3]
    assert np.allclose(np.sort(np.abs(seams(truth, 2.0)[0])), [0, 0, 2, 2], atol=0.01)


def test_the_picture_is_pale_where_the_strongest_expert_weighs_little():
    run = a_run(top_k=6)
    routed, _ = mix(run, 0, grid(3.0, 30))
    colors = np.tile(np.linspace(0, 0.5, 6)[:, None], (1, 3))
    picture = shade(routed, colors).reshape(-1, 3)
    white = 1 - (picture[:, 0] - colors[routed.experts[:, 0], 0]) / (1 - colors[routed.experts[:, 0], 0])
    assert np.array_equal(np.argsort(white, kind="stable"), np.argsort(routed.weights[:, 0], kind="stable"))


def test_a_view_has_a_still_picture_and_a_repr_that_says_what_it_shows():
    view = ExpertPlane([a_run(0), a_run(1, noisy=True)], a_truth(), np.zeros((5, 2)), "Two", extent=3.0, run=1)
    data, _ = view._repr_mimebundle_()
    assert data["text/plain"] == "<ExpertPlane: run 0, run 1; 6 experts, 3 moments>"
    assert data["image/png"].startswith("iVBOR")
    assert view.figure().get_figwidth() <= 7
    assert len(view.numbers) == 4 * 3 * 6 * 3 * 5  # router and planes of two runs, and the noise of one


def test_a_run_with_all_its_moments_takes_few_bytes():
    view = ExpertPlane([a_run(moments=100, experts=8)], extent=3.0)
    assert len(view.numbers) < 20_000
    assert len(str(view._esm)) + len(str(view._css)) < 48_000


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ExpertPlane([]), "no runs to show; give at least one"),
        (lambda: ExpertPlane([a_run(moments=3), a_run(moments=4)]), "'run 0' was kept at other steps than the first"),
        (lambda: ExpertPlane([a_run()._replace(router=np.zeros((3, 6, 2)))]), "router of run 'run 0' has shape"),
        (lambda: ExpertPlane([a_run()._replace(planes=np.full((3, 6, 3), np.nan))]), "experts, 3\\) and finite"),
        (lambda: ExpertPlane([a_run()._replace(loss=np.zeros(2))]), "has 2 losses for 3 moments"),
        (lambda: ExpertPlane([a_run(experts=17)]), "has 17 experts, but at most 16"),
        (lambda: ExpertPlane([a_run(experts=0)]), "there are zero experts"),
        (lambda: ExpertPlane([a_run(top_k=9)]), "top_k is 9, but must be from 1 to the 6 experts"),
        (lambda: ExpertPlane([a_run(score_function="relu")]), "score_function is 'relu'"),
        (lambda: ExpertPlane([a_run(moments=20_000)]), "too many numbers for a page; keep fewer moments"),
        (lambda: ExpertPlane([a_run()], a_truth()._replace(planes=np.zeros((2, 3)))), "truth has shapes"),
        (lambda: ExpertPlane([a_run()], points=np.zeros((100_000, 2))), "at most 1000 points"),
        (lambda: ExpertPlane([a_run()], extent=-1.0), "extent is -1.0, but must be above 0"),
        (lambda: ExpertPlane([a_run()], moment=3), "moment is 3, but must be from 0 to 2"),
        (lambda: ExpertPlane([a_run()], run=1), "run is 1, but must be from 0 to 0"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_a_loss_that_is_not_a_number_leaves_the_rest_readable():
    run = a_run()._replace(loss=np.array([np.inf, np.nan, 0.5]))
    json.dumps(ExpertPlane([run]).runs, allow_nan=False)


def test_the_other_figures_are_drawn_from_arrays_and_fit_the_page():
    truth, points = a_truth(), grid(3.0)
    run = a_run(top_k=1, normalize=False)
    heights = {"right": right_answer(truth, points), "mixture": mix(run, -1, points)[1]}
    losses = {"soft": np.array([0.05, 0.05, 0.06]), "top-1": np.array([0.1, 0.3, 0.1])}
    idle = {"soft": np.array([0, 0, 0]), "top-1": np.array([1, 3, 0])}
    pulls = {"soft": np.array([0.1, -0.2, 0.0]), "top-1": np.zeros(3)}
    figures = [
        draw_heights(heights, 3.0, truth),
        draw_heights(heights | {"a third": points[:, 0]}, 3.0),
        draw_planes([run], 3.0, truth, [0, 2]),
        draw_pull(pulls, {"soft": np.arange(3), "top-1": np.array([1])}),
        draw_luck(losses, idle),
    ]
    for figure in figures:
        assert png(figure).startswith("iVBOR")
        assert figure.get_figwidth() <= 7


# --- the exercises


def test_noisy_logits_are_those_of_the_packages_router():
    for hidden, weight, noise_weight, _, training in find("05.noisy_logits").cases():
        router = Router(hidden.shape[1], MoEConfig(n_routed_experts=len(weight), top_k=1, hidden_dim=1, noise=True))
        router.weight.data, router.noise_weight.data = weight, noise_weight
        torch.manual_seed(4)
        expected = router.train(training)(hidden).logits
        torch.manual_seed(4)
        normal = torch.randn(len(hidden), len(weight))
        found = find("05.noisy_logits").reference(hidden, weight, noise_weight, normal, training)
        assert torch.allclose(found, expected, atol=1e-6)


def test_other_right_ways_pass():
    def mixture(logits, answers, top_k):
        best = logits.topk(top_k)
        return torch.einsum("tk,tk->t", best.values.softmax(-1), answers.gather(1, best.indices))

    def top1_weight(logits):
        return 1 / torch.exp(logits - logits.max(dim=-1, keepdim=True).values).sum(dim=-1)

    def keep_top_k(logits, top_k):
        order = logits.sort(dim=-1, descending=True, stable=True).indices[:, :top_k]
        hidden = torch.full_like(logits, -torch.inf).scatter(1, order, logits.gather(1, order))
        return hidden.softmax(dim=-1)

    def noisy_logits(hidden, weight, noise_weight, normal, training):
        logits = hidden @ weight.T
        if training:
            logits = logits + normal * torch.log1p(torch.exp(hidden @ noise_weight.T))
        return logits

    def router_pull(logits, answers, target, top_k):
        weights = keep_top_k(logits, top_k)
        mixed = (weights * answers).sum(dim=1, keepdim=True)
        return 2 * (mixed - target[:, None]) * weights * (answers - mixed)

    for function in (mixture, top1_weight, keep_top_k, noisy_logits, router_pull):
        verdict = examine(f"05.{function.__name__}", function)
        assert verdict.state == "correct", verdict.line


def test_the_bugs_of_the_lesson_are_recognized_as_they_stand_there():
    def top1_weight(logits):
        scores = logits.softmax(dim=-1)
        best = scores.max(dim=-1, keepdim=True).values
        return (best / best.sum(dim=-1, keepdim=True)).squeeze(-1)

    def keep_top_k(logits, top_k):
        limit = logits.topk(top_k).values[:, -1:]
        kept = logits.where(logits >= limit, 0)
        return kept.softmax(dim=-1)

    def noisy_logits(hidden, weight, noise_weight, normal, training):
        logits = hidden @ weight.T
        spread = F.softplus(hidden @ noise_weight.T)
        return logits + spread * normal

    hints = {
        top1_weight: "always 1",
        keep_top_k: "put -inf in their place, not 0. And at a tie",
        noisy_logits: "evaluation",
    }
    for function, hint in hints.items():
        verdict = examine(f"05.{function.__name__}", function)
        assert verdict.state == "not yet" and hint in verdict.line, verdict.line
