"""JupyterLab, the kernel that it starts, and both halves of the widgets."""

import json
import sys
from importlib import import_module, metadata
from pathlib import Path

from moe_lessons.checkup.check import REINSTALL, Check, first_line, shown

# What a browser needs to draw a widget, by package: folders below share/jupyter/labextensions.
FRONT_ENDS = {"ipywidgets": "@jupyter-widgets/jupyterlab-manager", "anywidget": "anywidget"}


def check_jupyter() -> Check:
    """JupyterLab and a kernel that draws widgets in step with the cells."""
    try:
        lab, kernel = metadata.version("jupyterlab"), metadata.version("ipykernel")
    except metadata.PackageNotFoundError as error:
        return Check("Jupyter", f"{error.name} is not installed", REINSTALL)
    remedy = "" if int(kernel.split(".")[0]) < 7 else "ipykernel 7 mixes up widgets; pip install 'ipykernel<7'"
    return Check("Jupyter", f"JupyterLab {lab}, ipykernel {kernel}", remedy)


def check_kernel() -> Check:
    """The Python that a lesson's cells run in: a kernel installed once for all environments hides this one's."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

        spec = KernelSpecManager().get_kernel_spec("python3")
    except ImportError as error:
        return Check("kernel", f"jupyter_client does not work: {first_line(error)}", REINSTALL)
    except NoSuchKernel:
        return Check("kernel", "there is no kernel python3", REINSTALL)
    python = Path(spec.argv[0])
    # A bare name means the Python that JupyterLab runs in; links are not followed, for a .venv's Python is one.
    if python.name == str(python) or python.parent == Path(sys.executable).parent:
        return Check("kernel", f"{spec.display_name} runs this Python")
    remedy = f"remove {shown(Path(spec.resource_dir))}, which hides the course's own kernel"
    return Check("kernel", f"{spec.display_name} runs {shown(python)}, not this Python", remedy)


def check_widgets() -> Check:
    """The Python half of the widgets, and their half for the browser, ours included."""
    try:
        from jupyter_core.paths import jupyter_config_path, jupyter_path
    except ImportError as error:
        return Check("widgets", f"jupyter_core does not work: {first_line(error)}", REINSTALL)
    found = []
    disabled = _disabled(jupyter_config_path())
    for package, extension in FRONT_ENDS.items():
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            return Check("widgets", f"{package} is not installed", REINSTALL)
        folders = [Path(path) / extension for path in jupyter_path("labextensions")]
        folder = next((folder for folder in folders if folder.is_dir()), None)
        if folder is None:
            return Check("widgets", f"JupyterLab does not see {package}'s extension", REINSTALL)
        if damage := _damage(folder):
            remedy = f"remove {shown(folder)}, then `pip install --force-reinstall --no-deps {_owner(package)}`"
            return Check("widgets", f"{package}'s extension is damaged: {damage}", remedy)
        if by := disabled.get(extension):
            remedy = f"`jupyter labextension enable {extension}`, or remove it from {shown(by)}"
            return Check("widgets", f"{package}'s extension is switched off", remedy)
    widgets = import_module("moe_lessons.widgets")
    for name in widgets.__all__:
        try:
            getattr(widgets, name)  # each is loaded, and its front end looked for, when it is asked for
        except (ImportError, OSError, ValueError, AttributeError, SyntaxError) as error:
            if _is_ours(error):
                return Check("widgets", f"the course's own {name} cannot be read: {first_line(error)}", REINSTALL)
    return Check("widgets", ", ".join(found))


def _is_ours(error: Exception) -> bool:
    """Whether a file of the course is missing or spoiled; packages that others made have checks of their own."""
    if isinstance(error, ImportError):
        return (error.name or "").startswith("moe_lessons")
    if isinstance(error, OSError):
        return Path(error.filename or "").is_relative_to(Path(__file__).parent.parent)
    return True


def _owner(package: str) -> str:
    """The package that brings the extension."""
    return "jupyterlab_widgets" if package == "ipywidgets" else package


def _damage(folder: Path) -> str:
    """What is wrong with an extension's files; empty where nothing is."""
    try:
        entry = json.loads((folder / "package.json").read_bytes())["jupyterlab"]["_build"]["load"]
    except OSError:
        return "package.json is missing"
    except (ValueError, KeyError, TypeError):
        return "package.json makes no sense"
    return "" if (folder / entry).is_file() else f"{entry} is missing"


def _disabled(folders: list[str]) -> dict[str, Path]:
    """Extensions that a user or an administrator has switched off, with the file that says so."""
    found = {}
    for file in (Path(folder) / "labconfig" / "page_config.json" for folder in reversed(folders)):
        try:
            switched_off = json.loads(file.read_bytes()).get("disabledExtensions", {})
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(switched_off, list):
            switched_off = dict.fromkeys(switched_off, True)
        for name, off in switched_off.items():
            found[name] = file if off else None
    return {name: file for name, file in found.items() if file}
