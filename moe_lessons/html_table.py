"""Tables for a notebook; whoever writes a cell escapes what is in it."""

from collections.abc import Iterable


def td(content: str, attributes: str = "") -> str:
    """A cell."""
    return f"<td{attributes and f' {attributes}'}>{content}</td>"


def th(content: str, scope: str = "col", attributes: str = "") -> str:
    """A cell that names its column, its row where `scope` is "row", or nothing in particular where it is empty."""
    named = f" scope='{scope}'" if scope else ""
    return f"<th{named}{attributes and f' {attributes}'}>{content}</th>"


def html_table(
    rows: Iterable[Iterable[str]], head: Iterable[str] = (), *, caption: str = "", box: str = "", style: str = ""
) -> str:
    """A table of cells, below a row of `head` and with a caption where there are such.

    With `box`, a class, cells begin at the left and at the top and break their lines; `style` has more rules for it.
    """
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    names = "".join(head)
    table = (
        f"<table>{caption and f'<caption>{caption}</caption>'}{names and f'<thead><tr>{names}</tr></thead>'}"
        f"<tbody>{body}</tbody></table>"
    )
    if not box:
        return table
    cells = f".{box} td, .{box} th {{ text-align: left !important; vertical-align: top; white-space: normal; }}"
    return f"<style>{cells}{style}</style><div class='{box}'>{table}</div>"
