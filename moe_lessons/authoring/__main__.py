"""The authoring commands; `python -m moe_lessons.authoring --help` lists them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from moe_lessons import __version__, authoring
from moe_lessons.authoring import folder, robust, tables
from moe_lessons.authoring.clean import clean
from moe_lessons.authoring.execute import Timing, make, make_states
from moe_lessons.authoring.hosted import write_hosted
from moe_lessons.authoring.lock import TORCH_INDEX, write_lock
from moe_lessons.authoring.release import release
from moe_lessons.authoring.text import from_text, to_text
from moe_lessons.authoring.times import measure_times, promised, take_gpu_report

HELD = 600.0  # megabytes of a kernel, so that thirty learners fit a server of 24 GiB


def _parser() -> argparse.ArgumentParser:
    summary = (authoring.__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m moe_lessons.authoring", description=summary)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(does: Callable[[argparse.Namespace], bool], name: str, what: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what)
        added.set_defaults(does=does)
        return added

    text = command(_text, "text", "a notebook's percent-format source, for editing")
    text.add_argument("notebook", type=Path)
    text.add_argument("-o", "--output", type=Path, help="default: standard output")
    build = command(_build, "build", "percent-format sources -> executed, clean notebooks")
    build.add_argument("files", nargs="+", type=Path, metavar="FILE.py")
    build.add_argument("--into", type=Path, default=folder.NOTEBOOKS, help="folder to write to (default: notebooks/)")
    command(_table, "table", "the lessons' titles and minutes into README.md and TEACHING.md")
    lock = command(_lock, "lock", "constraints.txt with the checksums of all files, into uv.lock; needs uv")
    lock.add_argument("--torch-index", default=TORCH_INDEX, metavar="URL", help="a mirror of PyTorch's own index")
    command(_release, "release", "the version, CHANGELOG.md and CITATION.cff").add_argument("version")
    hosted = command(_hosted, "hosted", "copies for Colab and Kaggle, which install this version first")
    hosted.add_argument("--into", type=Path, default=Path("build/hosted"), help="default: build/hosted")
    hosted.add_argument("--unreleased", action="store_true", help="also of a version that PyPI does not have")
    catalog = command(_catalog, "catalog", "translations: new texts in, and what is left to translate")
    catalog.add_argument("language", metavar="CODE", help="such as de; a folder of moe_lessons/languages/")
    catalog.add_argument("catalogs", nargs="*", metavar="NN", help="lessons, or words; default: all that there are")
    for does, name, what in (
        (_run, "run", "execute again, in place"),
        (_clean, "clean", "clean in place, without executing"),
        (_states, "states", "run, and the widgets' states alone into data/states/, for the web site"),
        (_times, "times", "run, and how long that took and the memory it held into TEACHING.md"),
        (_robust, "robust", "every statement on other machines and seeds, into data/margins.json"),
    ):
        sub = command(does, name, what)
        sub.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
        if name == "times":
            sub.add_argument("--gpu", type=Path, metavar="FILE", help="a report of moe-lessons bench; runs nothing")
        if name == "robust":
            sub.add_argument("--quick", action="store_true", help=f"only: {', '.join(robust.QUICK)}")
            sub.add_argument("--machines", default="", help="only these, with commas between their names")
            sub.add_argument("--jobs", type=int, default=2, help="lessons at a time (default: 2)")
    return parser


def _text(args: argparse.Namespace) -> bool:
    source = to_text(folder.read(args.notebook))
    if args.output:
        args.output.write_text(source, encoding="utf-8")
    else:
        print(source, end="")
    return True


def _table(args: argparse.Namespace) -> bool:
    tables.write_lessons()
    tables.write_times()
    tables.write_room()
    tables.write_doors()
    return True


def _lock(args: argparse.Namespace) -> bool:
    write_lock(args.torch_index)
    return True


def _release(args: argparse.Namespace) -> bool:
    release(args.version)
    return True


def _catalog(args: argparse.Namespace) -> bool:
    from moe_lessons.authoring.catalog import update

    left = update(args.language, args.catalogs)
    for line in left:
        print(line)
    print(f"{len(left)} texts left to translate, or to look at again" if left else "nothing is left to translate")
    return True


def _hosted(args: argparse.Namespace) -> bool:
    written = write_hosted(__version__, args.into, unreleased=args.unreleased)
    print(f"{len(written)} lessons in {args.into}")
    return True


def _times(args: argparse.Namespace) -> bool:
    if args.gpu and args.notebooks:
        raise ValueError("--gpu takes its lessons from the report; name no notebooks")
    if args.gpu:
        for name in take_gpu_report(args.gpu):
            print(f"{name}: not in {args.gpu.name}")
    else:
        measure_times(args.notebooks, _report)
    tables.write_times()
    return True


def _states(args: argparse.Namespace) -> bool:
    made = [_make(path, path, does=make_states) for path in folder.targets(args.notebooks)]
    return all(made)


def _clean(args: argparse.Namespace) -> bool:
    for path in folder.targets(args.notebooks):
        folder.write(clean(folder.read(path), path.stem), path)
    return True


def _robust(args: argparse.Namespace) -> bool:
    chosen = robust.choose(args.machines, quick=args.quick)
    return robust.sweep(folder.targets(args.notebooks), chosen, jobs=args.jobs)


def _build(args: argparse.Namespace) -> bool:
    jobs = [(path, args.into / f"{path.stem}.ipynb") for path in args.files]
    return _make_all(jobs, from_text)


def _run(args: argparse.Namespace) -> bool:
    return _make_all([(path, path) for path in folder.targets(args.notebooks)])


def _make_all(jobs: Sequence[tuple[Path, Path]], reads: Callable | None = None) -> bool:
    """Make each notebook, also after one has failed."""
    made = [_make(source, target, reads) for source, target in jobs]
    return all(made)


def _make(source: Path, target: Path, reads: Callable | None = None, does: Callable[..., Timing] = make) -> bool:
    """Make one notebook; False where it failed or was too slow."""
    try:
        notebook = reads(source.read_text(encoding="utf-8")) if reads else folder.read(source)
        return _report(target.name, does(notebook, target))
    except (RuntimeError, TimeoutError, ValueError, OSError) as error:
        print(f"{source.name}: {error}", file=sys.stderr, flush=True)
        return False


def _report(name: str, timing: Timing) -> bool:
    limit = promised()
    slow = sorted(((s, i) for i, s in timing.cells.items() if s >= 5), reverse=True)[:4]
    detail = "".join(f", cell {index + 1}: {seconds:.0f} s" for seconds, index in slow)
    print(f"{name}: {timing.total:.0f} s{detail}; {timing.megabytes:.0f} MB", flush=True)
    if timing.total > limit:
        print(f"{name} took longer than the promised {limit:.0f} s; train for less", flush=True)
    if timing.megabytes > HELD:
        cell = next(index for index, held in sorted(timing.memory.items()) if held > HELD)
        print(f"{name} holds more than {HELD:.0f} MB from cell {cell + 1} on; use smaller batches there", flush=True)
    return timing.total <= limit


def main(argv: Sequence[str] | None = None) -> int:
    """Run one authoring command; 0 where all went well."""
    args = _parser().parse_args(argv)
    try:
        return 0 if args.does(args) else 1
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
