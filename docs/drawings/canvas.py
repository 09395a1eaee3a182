"""A small canvas that writes SVG: boxes, arrows and text with indices, in the colours of all figures, light and dark.

Coordinates are pixels of a picture 800 wide. Text is set in a plain sans-serif face of the reader's system, and these
are not equally wide: leave room. Colours are classes of a style sheet with two sets of values, for light and dark mode.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

from m2s.figures import PALETTE

Point = tuple[float, float]

PAPER, INK, MUTED = ("#ffffff", "#16191d"), ("#1b1b1b", "#ececec"), ("#595959", "#a9afb6")
"""Background, text, and text of less weight: in light mode and in dark mode."""
COLORS = {name: PALETTE[name] for name in ("blue", "orange", "green", "purple", "sky", "vermilion")} | {
    "grey": "#7a7a7a"
}
SMALL, NORMAL, LARGE = 12, 14, 16
INDEX = 0.72
"""Size of an index as a part of its letter's. Letters with an index are LARGE, so that no text is below 11 pixels."""


class Box(NamedTuple):
    """A drawn box by its middle and size; its sides are points at which arrows begin and end."""

    x: float
    y: float
    w: float
    h: float

    @property
    def left(self) -> Point:
        return self.x - self.w / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.w / 2, self.y

    @property
    def top(self) -> Point:
        return self.x, self.y - self.h / 2

    @property
    def bottom(self) -> Point:
        return self.x, self.y + self.h / 2


def mix(color: str, other: str, share: float) -> str:
    """The colour between two, ``share`` of the first."""
    a, b = (bytes.fromhex(c[1:]) for c in (color, other))
    return "#" + bytes(round(share * x + (1 - share) * y) for x, y in zip(a, b, strict=True)).hex()


def style_sheet() -> str:
    """The classes: ``paper``, ``muted``, and for each colour a tinted area, a full one, a line and text."""
    modes = []
    for mode in (0, 1):
        paper, ink, muted = PAPER[mode], INK[mode], MUTED[mode]
        rules = [f".paper{{fill:{paper}}}", f"text{{fill:{ink}}}", f".muted{{fill:{muted}}}", f".ink{{stroke:{ink}}}"]
        for name, color in COLORS.items():
            line = mix(color, ink, 0.85)
            rules.append(f".area-{name}{{fill:{mix(color, paper, 0.2)};stroke:{line}}}")
            rules.append(f".full-{name}{{fill:{line}}}")
            rules.append(f".line-{name}{{fill:none;stroke:{line}}}")
            rules.append(f".text-{name}{{fill:{mix(color, ink, 0.65)}}}")
        modes.append("".join(rules))
    return f"<style>{modes[0]}@media(prefers-color-scheme:dark){{{modes[1]}}}</style>"


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{round(value, 1):g}"


class Drawing:
    """A picture with a heading, and a title and description for those who do not see it."""

    def __init__(self, title: str, description: str, height: int, width: int = 800):
        self.title, self.width, self.height = title, width, height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
            ' role="img" aria-labelledby="title desc" font-family="Helvetica, Arial, sans-serif">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            style_sheet(),
            f'<rect class="paper" width="{width}" height="{height}" rx="10"/>',
        ]
        self.text(20, 26, title, LARGE, "start", bold=True)

    def svg(self) -> str:
        """The file."""
        return "\n".join([*self.parts, "</svg>", ""])

    def text(
        self, x: float, y: float, text: str, size: float = NORMAL, anchor: str = "middle", kind: str = "", bold=False
    ) -> None:
        """Lines of text around the height ``y``; ``_2``, ``^3``, ``_{10}`` are indices; ``kind`` is a class."""
        assert size >= (LARGE if re.search(r"[_^]", text) else SMALL), f"too small to read: {text}"
        lines = text.split("\n") if text else []
        for i, line in enumerate(lines):
            baseline = y + (i - (len(lines) - 1) / 2) * 1.25 * size + 0.35 * size
            look = f' class="{kind}"' * bool(kind) + ' font-weight="bold"' * bold
            look += f' text-anchor="{anchor}"' * (anchor != "start")
            place = f'x="{number(x)}" y="{number(baseline)}" font-size="{number(size)}"'
            self.parts.append(f"<text {place}{look}>{self._indices(line, size)}</text>")

    def note(self, y: float, words: str, kind: str = "muted") -> None:
        """A small line of text at the left margin."""
        self.text(20, y, words, SMALL, "start", kind)

    @staticmethod
    def _indices(line: str, size: float) -> str:
        spans, shift, below = [], 0.0, ""
        for token in re.findall(r"[_^]\{[^}]*\}|[_^].|[^_^]+", line):
            index = token[1:].strip("{}") if token[0] in "_^" else ""
            target = {"_": 0.22, "^": -0.38}.get(token[0], 0.0) * size
            place = f' dy="{number(target - shift)}"' * (target != shift)
            if token[0] == "^" and below:  # above the lower index, not behind it
                place += f' dx="{number(-INDEX * size * sum(0.32 if c in "fijlt" else 0.6 for c in below))}"'
            if index:
                spans.append(f'<tspan{place} font-size="{number(INDEX * size)}">{escape(index)}</tspan>')
            else:
                spans.append(f"<tspan{place}>{escape(token)}</tspan>" if place else escape(token))
            shift, below = target, index if token[0] == "_" else ""
        return "".join(spans)

    def area(self, x: float, y: float, w: float, h: float, color: str = "grey", radius: float = 6, dashed=False) -> Box:
        """A tinted rectangle around its middle."""
        place = f'x="{number(x - w / 2)}" y="{number(y - h / 2)}" width="{number(w)}" height="{number(h)}"'
        look = f'class="area-{color}" stroke-width="1.5" rx="{number(radius)}"' + ' stroke-dasharray="5 4"' * dashed
        self.parts.append(f"<rect {place} {look}/>")
        return Box(x, y, w, h)

    def frame(self, x: float, y: float, w: float, h: float, color: str = "grey") -> Box:
        """A dashed border around its middle, without a tint."""
        place = f'x="{number(x - w / 2)}" y="{number(y - h / 2)}" width="{number(w)}" height="{number(h)}"'
        self.parts.append(f'<rect {place} class="line-{color}" stroke-width="1.2" stroke-dasharray="5 4" rx="8"/>')
        return Box(x, y, w, h)

    def box(self, x: float, y: float, w: float, h: float, text: str, color="grey", size=NORMAL, dashed=False) -> Box:
        """A tinted rectangle with text in it."""
        self.parts.append("<g>")
        self.area(x, y, w, h, color, dashed=dashed)
        self.text(x, y, text, size)
        self.parts.append("</g>")
        return Box(x, y, w, h)

    def circle(self, x: float, y: float, r: float, text: str = "", color: str = "grey", size: float = LARGE) -> Box:
        """A tinted circle with text in it."""
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
        self.parts.append(f'<circle {place} class="area-{color}" stroke-width="1.5"/>')
        if text:
            self.text(x, y, text, size)
        return Box(x, y, 2 * r, 2 * r)

    def ring(self, x: float, y: float, r: float, color: str, dashed=False) -> None:
        """The border of a circle, empty inside."""
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
        look = f'class="line-{color}" stroke-width="2"' + ' stroke-dasharray="5 4"' * dashed
        self.parts.append(f"<circle {place} {look}/>")

    def dot(self, x: float, y: float, r: float, color: str = "grey") -> None:
        """A small full circle."""
        self.parts.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" class="full-{color}"/>')

    def line(self, *points: Point, color="grey", width=1.6, dashed=False, head=False) -> None:
        """A line through points; with a head, an arrow."""
        points = tuple(points)
        if head:
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            dx, dy = (x1 - x0) / length, (y1 - y0) / length
            back = x1 - 9 * dx, y1 - 9 * dy
            sides = (back[0] - 4.5 * dy, back[1] + 4.5 * dx), (back[0] + 4.5 * dy, back[1] - 4.5 * dx)
            corners = " ".join(f"{number(x)},{number(y)}" for x, y in (points[-1], *sides))
            points = (*points[:-1], (x1 - 7 * dx, y1 - 7 * dy))
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        look = f'class="line-{color}" stroke-width="{number(width)}" stroke-linejoin="round"'
        look += ' stroke-dasharray="5 4"' * dashed
        self.parts.append(f'<polyline points="{path}" {look}/>')
        if head:
            self.parts.append(f'<polygon points="{corners}" class="full-{color}"/>')

    def arrow(self, *points: Point, color="grey", width=1.6, dashed=False) -> None:
        """A line through points that ends in a head."""
        self.line(*points, color=color, width=width, dashed=dashed, head=True)

    def chain(self, *boxes: Box, color: str = "grey") -> None:
        """Arrows from each box to the next one on its right."""
        for a, b in pairwise(boxes):
            self.arrow(a.right, b.left, color=color)

    def stack(self, x: float, y: float, w: float, h: float, color: str = "grey", sheets: int = 3) -> Box:
        """Several maps behind each other: a feature with channels."""
        for i in reversed(range(sheets)):
            self.area(x + 5 * (i - (sheets - 1) / 2), y - 5 * (i - (sheets - 1) / 2), w, h, color, radius=2)
        spread = 5 * (sheets - 1)
        return Box(x, y, w + spread, h + spread)

    def grid(self, x: float, y: float, cell: float, rows: Sequence[Sequence[float]], color="blue", top=None) -> Box:
        """A map of numbers around its middle, the larger the darker; zeros are written in grey."""
        top = top or max(map(max, rows))
        w, h = cell * len(rows[0]), cell * len(rows)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                place = f'x="{number(x - w / 2 + j * cell)}" y="{number(y - h / 2 + i * cell)}"'
                look = f'class="full-{color}" fill-opacity="{round(0.55 * value / top, 2):g}"'
                self.parts.append(f'<rect {place} width="{number(cell)}" height="{number(cell)}" {look}/>')
                middle = x - w / 2 + (j + 0.5) * cell, y - h / 2 + (i + 0.5) * cell
                self.text(*middle, f"{value:g}", SMALL, kind="" if value else "muted")
        place = f'x="{number(x - w / 2)}" y="{number(y - h / 2)}" width="{number(w)}" height="{number(h)}"'
        self.parts.append(f'<rect {place} class="line-{color}" stroke-width="1.2"/>')
        return Box(x, y, w, h)
