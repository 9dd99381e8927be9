"""A notebook's tables hold the cells that they are given, in their order, and nothing else."""

from html.parser import HTMLParser

import pytest

from moe_lessons.html_table import html_table, td, th


class Reader(HTMLParser):
    """What a browser finds: the rows as lists of [tag, scope, text], the tags left open at the end, and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows, self.open, self.seen = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([tag, dict(attrs).get("scope", ""), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1][2] += data


@pytest.mark.parametrize("box", ["", "moe-test"])
def test_a_table_holds_its_head_and_its_rows(box):
    page = html_table([[th("a", "row"), td("1 &lt; 2", "class='n'")]], [th("name"), th("", "")], caption="c", box=box)
    found = Reader(page)
    assert found.open == []
    assert found.rows == [[["th", "col", "name"], ["th", "", ""]], [["th", "row", "a"], ["td", "", "1 < 2"]]]
    assert found.seen.count("thead") == found.seen.count("tbody") == found.seen.count("caption") == 1
    assert found.seen.count("style") == found.seen.count("div") == (1 if box else 0)


def test_what_is_not_given_is_not_there():
    assert html_table([[td("1")]]) == "<table><tbody><tr><td>1</td></tr></tbody></table>"
