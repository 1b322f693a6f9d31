#!/usr/bin/env python3
"""Draws docs/performance*.svg from the tables of docs/performance*.md, so that picture and page cannot differ.

    make plots      after `make bench`, which calls it too
"""

import pathlib
import re
import sys

import matplotlib

matplotlib.use("svg")
# The same page gives the same bytes, and text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "landfast", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10})

import matplotlib.pyplot as plt  # noqa: E402

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
OURS, BUILTIN, OVER = "#1f6f8b", "#b8b8b8", "#c0392b"


def tables(path):
    """The tables of a page: the heads of the columns, and the rows."""
    found, current = [], None
    for line in path.read_text().splitlines():
        if not line.startswith("|"):
            current = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if current is None:
            current = (cells, [])
            found.append(current)
        elif not set("".join(cells)) <= set("-: "):
            current[1].append(cells)
    return found


def number(text):
    """The first number of a cell."""
    return float(re.search(r"-?[\d,]*\.?\d+", text).group().replace(",", ""))


def short(text, width=58):
    """Broken at a blank, so that a long name has two lines."""
    if len(text) <= width:
        return text
    cut = text.rfind(" ", 0, width)
    return text[:cut] + "\n" + short(text[cut + 1:], width)


def axes(rows, width=9):
    figure, drawn = plt.subplots(figsize=(width, 0.9 + 0.48 * rows))
    for side in ("top", "right"):
        drawn.spines[side].set_visible(False)
    return figure, drawn


def save(figure, name):
    figure.tight_layout()
    figure.savefig(DOCS / name, metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)
    print(f"written: docs/{name}")


def budgets(page, rows):
    """How much of each budget is used."""
    rows = [row for row in rows if row[1] and number(row[1]) > 0]
    figure, drawn = axes(len(rows))
    # Of what is to be at least so much, the share is of the value: it too is above one where the budget is not met.
    used = [number(row[1]) / number(row[2]) if row[1].startswith("≥") else number(row[2]) / number(row[1]) for row in rows]
    drawn.barh([short(row[0]) for row in rows], used, color=[OVER if share > 1 else OURS for share in used], height=0.6)
    for place, (row, share) in enumerate(zip(rows, used)):
        drawn.text(max(share, 0) + 0.015, place, f" {row[2]} of {row[1].lstrip('≤≥ ')}", va="center", fontsize=9,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5}, zorder=3)
    drawn.axvline(1, color="black", linewidth=1)
    drawn.set_xlim(0, max(1.25, 1.25 * max(used)))
    drawn.set_xlabel("share of the budget that is used; the line is the budget")
    drawn.invert_yaxis()
    save(figure, f"{page.stem}.svg")


def beside(name, label, pairs):
    """Two bars for each name: the built-in engine's and ours."""
    figure, drawn = axes(1.4 * len(pairs))
    for place, (_, builtin, ours) in enumerate(pairs):
        for shift, value, colour in ((-0.2, builtin, BUILTIN), (0.2, ours, OURS)):
            drawn.barh(place + shift, value, height=0.36, color=colour,
                       label=("built-in" if colour == BUILTIN else "landfast") if place == 0 else None)
            drawn.text(value, place + shift, f" {value:.3g}", va="center", fontsize=9)
    drawn.set_yticks(range(len(pairs)), [short(what, 40) for what, *_ in pairs])
    drawn.invert_yaxis()
    drawn.set_xlabel(label)
    drawn.legend(loc="lower right", frameon=False)
    save(figure, name)


def paired(rows, what, engine, value):
    """Rows of one name with the engine in a column, as `beside` wants them."""
    found = {}
    for row in rows:
        found.setdefault(what(row), {})[row[engine]] = number(row[value])
    return [(name, each["built-in"], each["landfast"]) for name, each in found.items()]


def main():
    for page in sorted(DOCS.glob("performance*.md")):
        for heads, rows in tables(page):
            if heads[:2] == ["figure", "budget"]:
                budgets(page, rows)
            elif heads[:2] == ["run", "engine"]:
                beside("performance-requests.svg", "CPU ms per request, server and plugin together", paired(rows, lambda row: row[0], 1, 5))
            elif heads[:2] == ["engine", "nodes that are asked"]:
                beside("performance-nodes.svg", "CPU ms per certificate on the busiest node",
                       paired(rows, lambda row: f"{row[1]} nodes are asked" if row[1] != "1" else "one node is asked", 0, -1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
