"""The few pieces of HTML that the page about a latency table is made of; all text is escaped."""

import base64
import io
from html import escape

STYLE = """
:root { --ink: #1c2733; --soft: #5b6875; --line: #dde3e9; --accent: #1f6fb2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f8; color: var(--ink); line-height: 1.5;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
header p { color: var(--soft); margin: .3rem 0 1.2rem; }
nav { margin: 1.2rem 0; } nav a { margin-right: 1.1rem; color: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(185px, 1fr)); gap: .8rem; }
.cards div { background: #fff; border: 1px solid var(--line); border-radius: 10px;
             padding: .8rem 1rem; }
.cards b { display: block; font-size: 1.1rem; }
.cards span { color: var(--soft); font-size: .85rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 12px;
          padding: 1.2rem 1.4rem; margin: 1.2rem 0; }
section p { max-width: 75ch; margin: .3rem 0 .9rem; }
img { display: block; max-width: 100%; height: auto; margin: .4rem auto 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
th, td { padding: .3rem 1.1rem .3rem 0; white-space: nowrap; }
td { border-bottom: 1px solid #eef1f4; }
.note { color: var(--soft); }
pre { overflow-x: auto; background: #f4f6f8; padding: 1rem; border-radius: 8px; font-size: .8rem; }
summary { cursor: pointer; color: var(--accent); }
@media print { body { background: #fff; } section { break-inside: avoid; border: none; } }
"""


def page(title, subtitle, summary, sections):
    """Return the page; sections are (heading, HTML) pairs, each linked from the top."""
    links = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _) in enumerate(sections))
    bodies = "".join(
        f'<section id="s{i}"><h2>{escape(name)}</h2>{body}</section>'
        for i, (name, body) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>"
        f"{summary}<nav>{links}</nav>{bodies}</main></body></html>\n"
    )


def cards(facts):
    """Return (value, what it is) pairs as cards."""
    items = (
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in facts
    )
    return f'<div class="cards">{"".join(items)}</div>'


def paragraph(text):
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def note(text):
    """Return a paragraph that stands for something that is missing."""
    return f'<p class="note">{escape(text)}</p>'


def picture(draw, description):
    """Return a picture, inside the page; draw(file) writes it to a binary file."""
    file = io.BytesIO()
    draw(file)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{data}">'


def table_of(names, rows):
    """Return a table of texts and numbers."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def details(name, text):
    """Return text of fixed width that unfolds on a click."""
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"
