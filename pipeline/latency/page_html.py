"""The parts of the page about a latency table; page.html.j2 renders them, all text escaped."""

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page(**contents):
    """Return the page.

    title, subtitle: texts
    cards: (value, what it is) pairs
    sections: {heading: parts}, each linked from the top; parts are what the functions below return
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(contents)


def paragraph(text):
    """Return a paragraph."""
    return {"kind": "paragraph", "text": text}


def note(text):
    """Return a paragraph in place of something missing."""
    return {"kind": "note", "text": text}


def picture(draw, description):
    """Return a picture, inside the page; draw(file) writes it to a binary file."""
    file = io.BytesIO()
    draw(file)
    png = base64.b64encode(file.getvalue()).decode()
    return {"kind": "picture", "description": description, "png": png}


def table_of(names, rows):
    """Return a table of texts and numbers."""
    return {"kind": "table", "names": names, "rows": rows}


def details(name, text):
    """Return text of fixed width that unfolds on a click."""
    return {"kind": "details", "name": name, "text": text}
