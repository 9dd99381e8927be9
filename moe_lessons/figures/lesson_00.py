"""Lesson 00's pictures: the same words behind several prompts, the load by kind of text, the part at work."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable


def draw_same_words(
    choices: Int[np.ndarray, "prompts layers tokens"],
    names: Sequence[str],
    pieces: Sequence[str],
    layers: Sequence[int],
    n_experts: int,
) -> Figure:
    """One panel per layer: a row per prompt, a column per token that the prompts share, its expert as color and number.

    A column of one color is a token that goes to the same expert whatever stood before it.
    """
    colors = np.array([to_rgb(color) for color in expert_colors(n_experts)])
    across = 2 if len(layers) > 1 else 1
    down = -(-len(layers) // across)
    figure = new_figure(WIDEST, 0.35 + down * (0.62 + 0.21 * len(names)))
    axes = np.atleast_1d(figure.subplots(down, across, sharex=True, sharey=True)).ravel()
    for axis in axes[len(layers) :]:
        axis.remove()
    for row, (axis, layer) in enumerate(zip(axes, layers, strict=False)):
        clean(axis, grid="")
        axis.spines["bottom"].set_visible(False)
        axis.imshow(colors[choices[:, row]], aspect="auto", interpolation="nearest")
        for prompt, token in np.ndindex(choices.shape[0], choices.shape[2]):
            expert = choices[prompt, row, token]
            dark = colors[expert] @ (0.299, 0.587, 0.114) < 0.55
            ink = "white" if dark else INK
            axis.text(token, prompt, str(expert), ha="center", va="center", fontsize=7.5, color=ink)
        axis.set_xticks(range(len(pieces)), [printable(piece).replace("·", " ").strip() or "·" for piece in pieces])
        axis.set_yticks(range(len(names)), [f"after {name.replace('_', ' ')}" for name in names])
        axis.set_xticks(np.arange(len(pieces) - 1) + 0.5, minor=True)
        axis.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axis.grid(which="minor", color="white", linewidth=1.5)
        axis.tick_params(which="minor", length=0)
        axis.tick_params(axis="x", labelsize=8, labelcolor=INK, labelbottom=True)
        heading(axis, f"Layer {layer}")
    same = (choices == choices[:1]).all(axis=0).sum(axis=1)  # by layer
    told = ", ".join(f"layer {layer} {count}" for layer, count in zip(layers, same, strict=False))
    figure.alt = f"Experts of the same {len(pieces)} tokens behind {len(names)} beginnings, a panel for each layer. "
    figure.alt += f"Tokens that go to one expert behind all of them: {told}."
    return figure


def draw_shares(loads: Mapping[str, Float[np.ndarray, "layers experts"]], layers: Sequence[int]) -> Figure:
    """One panel per layer: for each kind of text a bar of length 1, cut into the shares of the experts."""
    n_experts = next(iter(loads.values())).shape[1]
    colors = expert_colors(n_experts)
    figure = new_figure(WIDEST, 0.3 + 0.27 * len(loads) * len(layers) + 0.32 * len(layers))
    for row, (axis, layer) in enumerate(zip(np.atleast_1d(figure.subplots(len(layers), 1)), layers, strict=True)):
        clean(axis, grid="")
        axis.spines["bottom"].set_visible(False)
        for place, load in enumerate(loads.values()):
            begin = np.cumsum(load[row]) - load[row]
            axis.barh(place, load[row], left=begin, color=colors, height=0.82, edgecolor="white", linewidth=1)
            for expert in np.flatnonzero(load[row] > 0.035):
                dark = np.dot(to_rgb(colors[expert]), (0.299, 0.587, 0.114)) < 0.55
                center = begin[expert] + load[row][expert] / 2
                ink = "white" if dark else INK
                axis.text(center, place, str(expert), ha="center", va="center", fontsize=7.5, color=ink)
        axis.set(xlim=(0, 1), ylim=(len(loads) - 0.5, -0.5))
        axis.set_xticks([])
        axis.set_yticks(range(len(loads)), [name.replace("_", " ") for name in loads])
        axis.tick_params(axis="y", labelcolor=INK)
        heading(axis, f"Layer {layer}: share of each expert")
    told = [f"{name.replace('_', ' ')} {load.max():.0%}" for name, load in loads.items()]
    figure.alt = f"Share of each of {n_experts} experts by kind of text, in layers {', '.join(map(str, layers))}. "
    figure.alt += f"The largest share of one expert in any of them: {', '.join(told)}."
    return figure


def draw_strips(models: Mapping[str, tuple[float, float]], notes: Mapping[str, str] | None = None) -> Figure:
    """One strip of length 1 per model: the parameters at work on one token, and the idle ones.

    `models[name]` is (at work, in all); the strip of a name in `notes` is hatched, for a number that is only claimed.
    """
    notes = notes or {}
    figure = new_figure(WIDEST, 0.35 + 0.62 * len(models))
    axis = clean(figure.subplots(), grid="")
    axis.spines["bottom"].set_visible(False)
    for place, (name, (active, total)) in enumerate(models.items()):
        share, claimed = active / total, name in notes
        axis.barh(place, 1, color=RULE, height=0.42)
        axis.barh(place, share, color=PALETTE[0], height=0.42, alpha=0.55 if claimed else 1, hatch="///" * claimed)
        label = f"{share:.1%} at work" + (f" ({notes[name]})" if claimed else "")
        axis.text(share + 0.012, place, label, va="center", fontsize=8.5, color=INK)
        axis.text(0, place - 0.33, name, va="center", fontsize=9, color=INK, fontweight="bold", parse_math=False)
        axis.text(0.995, place, "idle", va="center", ha="right", fontsize=8.5, color=MUTED)
    axis.set(xlim=(0, 1), ylim=(len(models) - 0.65, -0.55))
    axis.set_xticks([])
    axis.set_yticks([])
    told = [
        f"{name} {active / total:.1%}" + (f" ({notes[name]})" if name in notes else "")
        for name, (active, total) in models.items()
    ]
    figure.alt = f"Strips: the share of its parameters that each model has at work on one token. {', '.join(told)}."
    return figure
