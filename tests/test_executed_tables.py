"""The executed notebooks in ``docs/executed``: what their tables and texts never show."""

import re
from html import unescape

import nbformat
import pytest

from m2s.paths import ROOT

EXECUTED = sorted((ROOT / "docs" / "executed").glob("*.ipynb"))
INTERVAL = re.compile(r"\[([-+−]?\d*\.?\d+), ([-+−]?\d*\.?\d+)\]")
LONGEST = 1200
"""Characters of a paragraph that is not folded away: about 15 lines."""


def read_cells(table: str, kind: str) -> list[str]:
    """The texts of the cells ``<th>`` or ``<td>`` of a part of a page."""
    found = re.findall(rf"<{kind}\b[^>]*>(.*?)</{kind}>", table, re.S)
    return [unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in found]


def check_table(table: str) -> list[str]:
    """What a table shows against the rules: no NaN, no snake_case heads, at most three digits, no verdict in doubt."""
    broken = []
    for head in read_cells(table.partition("</thead>")[0], "th"):
        if re.fullmatch(r"[a-z]+[0-9]*(_[a-z0-9]+)+", head):
            broken.append(f"column {head}")
    for cell in read_cells(table, "td"):
        if cell in ("NaN", "nan", "None", "<NA>", "NaT"):
            broken.append(f"cell {cell}")
        digits = re.fullmatch(r"[-+−]?(\d*\.\d{4,})(e[-+]\d+)?", cell)
        if digits and len(digits[1].replace(".", "").strip("0")) > 3:  # 0.0012 has two
            broken.append(f"digits {cell}")
    for row in re.findall(r"<tr\b.*?</tr>", table, re.S):
        cells = read_cells(row, "td")
        for low, high in (found for cell in cells for found in INTERVAL.findall(cell)):
            ends = [float(end.replace("−", "-")) for end in (low, high)]
            if "undecided" in cells and ends[0] * ends[1] > 0:
                broken.append(f"undecided beside {ends}")
    return broken


def check_notebook(notebook: nbformat.NotebookNode) -> list[str]:
    """What the outputs of an executed notebook show against the rules for tables and texts, with the cell's number."""
    broken = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data, text = output.get("data", {}), output.get("text", "")
            found = check_table(data["text/html"]) if "<table" in data.get("text/html", "") else []
            markdown = re.sub(r"<details>.*?</details>", "", data.get("text/markdown", ""), flags=re.S)
            long = [
                p for p in markdown.split("\n\n") if len(p) > LONGEST and not p.startswith("|")
            ]  # tables may be long
            found += [f"paragraph of {len(p)} characters" for p in long]
            plain = "\n".join(
                [
                    text,
                    markdown,
                    data.get("text/html", ""),
                    "" if data.keys() - {"text/plain"} else data.get("text/plain", ""),
                ]
            )
            found += [f"dictionary {part}" for part in re.findall(r"\{'[^'{}]+': [^{}]{0,20}", plain)[:2]]
            found += [f"path {part}" for part in re.findall(r"/(?:home|root|work|tmp|Users)/\S{0,40}", plain)[:2]]
            broken += [f"cell {number}: {told}" for told in found]
    return broken


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_tables_and_texts_are_fit_to_be_read(path):
    broken = check_notebook(nbformat.read(path, as_version=4))
    assert not broken, "\n".join(broken)


def test_the_rules_find_what_they_are_for():
    head = "<table><thead><tr><th></th><th>gap_low</th></tr></thead>"
    row = "<tr><td>NaN</td><td>0.12345</td><td>+0.105 [0.059, 0.157]</td><td>undecided</td></tr></table>"
    table = {"output_type": "display_data", "metadata": {}, "data": {"text/html": head + row}}
    stream = {"output_type": "stream", "name": "stdout", "text": "{'Kvasir': 0.5} in /home/results"}
    folded = {"text/markdown": f"<details>{'word ' * 300}</details>"}
    quiet = {"output_type": "display_data", "metadata": {}, "data": folded}
    long = {"output_type": "display_data", "metadata": {}, "data": {"text/markdown": "word " * 300}}
    outputs = [nbformat.from_dict(output) for output in (table, stream, quiet, long)]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    told = check_notebook(nbformat.v4.new_notebook(cells=[cell]))
    assert [line.removeprefix("cell 0: ").split(" ")[0] for line in told] == [
        "column", "cell", "digits", "undecided", "dictionary", "path", "paragraph",
    ]  # fmt: skip
