"""Words of a lesson as HTML: emphasis, code and short formulas. Links are words alone: on paper they lead nowhere."""

import html
import re

_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_PARTS = re.compile(r"`([^`]+)`|\$([^$\s](?:[^$]*[^$\s])?)\$")
_SENTENCE = re.compile(r"(?:[^.!?]|[.!?](?=[\w,)]))+[.!?](?=\W*(?:\s|$))[*)\"”]*")
# What no slide quotes: formulas and tables of their own, lists, code; and what a lesson says in brackets.
_BLOCK = re.compile(r"\$\$.+?\$\$|```.*?```|^(?:\||- |\d+\. |>).*$", re.DOTALL | re.MULTILINE)
_ASIDE = re.compile(r"(?<!\])\([A-Z*][^()]*[.!?]\)")
_SHORT = 60  # letters of a sentence that says too little alone
_SIGNS = {
    "theta": "θ",
    "lambda": "λ",
    "cdot": "·",
    "times": "×",
    "mapsto": "↦",
    "leftarrow": "←",
    "sum": "∑",
    "sqrt": "√",
    "ln": "ln ",
    ",": " ",
}


def inline(text: str) -> str:
    """One paragraph of Markdown as HTML; whatever else it holds is escaped."""
    kept: list[str] = []

    def keep(found: re.Match) -> str:
        kept.append(f"<code>{html.escape(found[1])}</code>" if found[1] else formula(found[2]))
        return f"\0{len(kept) - 1}\0"

    page = html.escape(_PARTS.sub(keep, _LINK.sub(r"\1", text.replace("\0", ""))), quote=False)
    page = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", page)
    page = re.sub(r"\*(?!\s)(.+?)(?<!\s)\*", r"<i>\1</i>", page)
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], page)


def paragraphs(text: str) -> str:
    """Markdown prose as paragraphs; a list or a table keeps its lines, and no more of its shape."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "".join(f"<p>{'<br>'.join(map(inline, block.splitlines()))}</p>" for block in blocks if block)


def plain(text: str) -> str:
    """The same without any marks, for titles and labels."""
    return re.sub(r"[*`$]", "", _LINK.sub(r"\1", text)).strip()


def capital(text: str) -> str:
    """On one line, with a capital letter first."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:]


def ended(text: str) -> str:
    """With a period, where it does not end with a sign of its own."""
    return text if text[-1:] in ".?!:" else f"{text}."


def point(text: str) -> str:
    """What some prose comes to: the sentences that it has in bold, or else its first; empty for a list alone."""
    words = " ".join(_ASIDE.sub(" ", _BLOCK.sub(" ", text)).split())
    sentences = [found[0].strip() for found in _SENTENCE.finditer(words)]
    bold = [each for each in sentences if re.search(r"\*\*[^*]{25,}\*\*", each)]
    if bold or not sentences:
        return " ".join(bold[:2])
    return " ".join(sentences[: 2 if len(sentences[0]) < _SHORT else 1])


def formula(tex: str) -> str:
    """A formula of one line in letters, with high and low ones; what has more to it stays as it is written."""
    text = re.sub(r"\\(?:mathrm|mathbf|text|operatorname)\{([^{}]*)\}", r"\1", tex)
    text = re.sub(r"\\hat\s*\{?(\w)\}?", "\\1\u0302", text)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", lambda root: f"√{root[1]}" if len(root[1]) == 1 else f"√({root[1]})", text)
    text = re.sub(r"\\([a-zA-Z]+|,)\s?", lambda name: _SIGNS.get(name[1], name[0]), text)
    if "\\" in text:
        return f"<code>{html.escape(tex)}</code>"
    page = html.escape(text, quote=False)
    for sign, tag in (("\\^", "sup"), ("_", "sub")):
        page = re.sub(rf"{sign}(?:\{{([^{{}}]*)\}}|(\w))", rf"<{tag}>\1\2</{tag}>", page)
    return f'<i class="formula">{page}</i>'
