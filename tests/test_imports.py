"""Who imports whom, read from the source: the package stays a stack, not a knot."""

import ast
from pathlib import Path

import pytest
from loaded import loaded_after
from places import PACKAGE

BASE = {"axes", "blame", "cards", "concerns", "config", "device", "files", "html_table", "lazy", "long_texts"}
BASE |= {"attention_config", "resources", "routing_rule", "seeds"}
LIBRARY = BASE | {"model", "text", "tracing", "training", "parallel", "accounting", "published", "benchmark", "figures"}
LIBRARY |= {"offload"}
# Part of the package -> the parts that it may import; its own part is always allowed.
ALLOWED = {
    "__init__": {"lazy"},
    "__main__": {"cli"},
    "axes": set(),
    "blame": set(),
    "cards": {"resources"},
    "concerns": set(),
    "attention_config": {"concerns", "long_texts"},
    "config": {"attention_config", "cards", "concerns", "long_texts", "routing_rule"},
    "long_texts": {"concerns"},
    "device": set(),
    "files": set(),
    "html_table": set(),
    "idle_threads": set(),
    "lazy": set(),
    "resources": set(),
    "records": {"files", "resources"},
    "routing_rule": {"axes"},
    "seeds": set(),
    "statements": set(),
    "languages": set(),
    "model": BASE,
    "text": BASE,
    "tracing": BASE | {"model"},
    "offload": BASE | {"model", "tracing"},
    "training": BASE | {"model", "text", "tracing"},  # expert load is observed, not computed again
    "parallel": BASE | {"model", "text", "training"},
    "accounting": BASE | {"model"},
    "published": BASE | {"model", "accounting"},  # a card counts what our modules hold, and what they lack
    "benchmark": BASE | {"model", "training", "published", "accounting"},
    "figures": {"axes", "resources", "routing_rule", "tracing"},
    # Never model, text, training.
    "site": {"authoring", "files", "languages", "resources", "text", "tracing", "training", "widgets"},
    "widgets": {"axes", "cards", "config", "lazy", "resources", "routing_rule", "tracing", "figures", "accounting"}
    | {"offload", "parallel", "languages"},  # slots and places of experts are counted there, without torch
    "outbox": {"files", "records", "resources"},
    "classroom": {"__init__", "files", "outbox", "records", "resources", "predictions", "ledger"},  # never torch
    "ledger": LIBRARY | {"languages", "outbox", "records"},
    "predictions": {"languages", "outbox", "records", "resources", "widgets"},
    "exercises": LIBRARY | {"languages", "outbox", "widgets", "ledger", "capstone", "records"},
    "checkup": LIBRARY | {"widgets", "ledger", "capstone", "predictions"},
    "bundle": {"files", "resources"},
    "kit": {"__init__", "authoring", "benchmark", "exercises", "files", "ledger", "predictions", "resources"},
    "capstone": LIBRARY | {"__init__", "outbox", "records"},
    "studies": LIBRARY | {"capstone"},
    "gpu_report": {"authoring", "files"},
    "authoring": {"__init__", "resources", "files", "device", "benchmark", "checkup", "records", "seeds", "statements"}
    | {"bundle", "idle_threads", "languages"},
    "commands": LIBRARY
    | {"__init__", "widgets", "ledger", "checkup", "bundle", "site", "gpu_report"}
    | {"classroom", "kit", "languages", "outbox"},
    "cli": {"__init__", "commands", "idle_threads"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> set[str]:
    """Every module that a source imports, also inside functions; not what only a type checker reads."""

    class Collect(ast.NodeVisitor):
        found: set[str] = set()

        def visit_If(self, node: ast.If) -> None:
            if "TYPE_CHECKING" in ast.unparse(node.test):
                for other in node.orelse:
                    self.visit(other)
            else:
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            self.found |= {alias.name for alias in node.names}

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, "relative imports hide who imports whom"
            self.found |= {f"{node.module}.{alias.name}" for alias in node.names}

    collect = Collect()
    collect.found = set()
    collect.visit(ast.parse(source))
    return collect.found


def part(path: Path) -> str:
    """The part of the package that a file belongs to: its folder below the package, or itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_part_imports_only_what_lies_below_it(path):
    parts = {each.stem for each in PACKAGE.iterdir()}
    own = part(path)
    assert own in ALLOWED, f"{own} is new: say in ALLOWED what it may import"
    for module in imported(path.read_text(encoding="utf-8")):
        names = module.split(".")
        assert names[0] not in ("notebooks", "tests"), f"{path.name} imports {module}"
        if names[0] == "moe_lessons":
            target = names[1] if len(names) > 1 and names[1] in parts else "__init__"
            assert target == own or target in ALLOWED[own], f"{own} imports {module}"


@pytest.mark.parametrize("folder", ["figures", "widgets"])
def test_pictures_are_drawn_without_pyplot_and_without_torch(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        for module in imported(path.read_text(encoding="utf-8")):
            assert not module.startswith("matplotlib.pyplot"), f"{path.name} imports {module}"
            assert module.split(".")[0] != "torch", f"{path.name} imports {module}"


def test_the_reader_of_imports_sees_functions_but_not_type_checking():
    source = "import a.b\nif TYPE_CHECKING:\n    import c\nelse:\n    import d\ndef f():\n    from e import g\n"
    assert imported(source) == {"a.b", "d", "e.g"}


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    assert not loaded_after("import moe_lessons") & {"torch", "matplotlib", "numpy", "IPython"}


def test_asking_for_help_loads_neither_torch_nor_matplotlib():
    statement = "from moe_lessons.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not loaded_after(statement) & {"torch", "matplotlib", "numpy", "IPython"}


def test_training_loads_no_compiler():
    """sympy comes with torch._dynamo alone: 75 MB, and one to two seconds before the first step."""
    statement = """
import torch
from moe_lessons import ModelConfig, Transformer
from moe_lessons.config import AttentionConfig, TrainConfig
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
attention = AttentionConfig(n_heads=1)
model = Transformer(ModelConfig(vocab_size=8, dim=4, n_layers=1, hidden_dim=4, max_length=2, attention=attention))
optimizers, ids = build_optimizers(model, TrainConfig(steps=1)), torch.zeros(1, 2, dtype=torch.long)
training_step(model, optimizers, ids, ids, TrainConfig(steps=1), 1.0)
[optimizer.load_state_dict(optimizer.state_dict()) for optimizer in optimizers]
"""
    loaded = loaded_after(statement)
    assert "torch" in loaded and not loaded & {"sympy"}


def test_every_axis_name_in_a_shape_is_in_the_legend():
    from moe_lessons.axes import AXES

    unknown = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_shape = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
            if is_shape and ast.unparse(node.value).split(".")[-1] in {"Float", "Int", "Bool", "Num", "Shaped", "UInt"}:
                shape = node.slice.elts[-1]
                for axis in shape.value.split() if isinstance(shape, ast.Constant) else []:
                    name = axis.lstrip("*#?")
                    if name.isidentifier() and name not in AXES and name != "_":
                        unknown[name] = path.name
    assert not unknown, f"name these in moe_lessons/axes.py, or use its words: {unknown}"
