"""The feedback page that a student gets: what to look at first, then the notebook, all of it in one file.

nbgrader's own page loads MathJax, and with it every formula, from a server on the network. Here formulas become MathML,
which browsers show by themselves, and the page has no script at all. Named in ``nbgrader_config.py``: the filter serves
the formgrader too.
"""

import html
import re
from pathlib import Path
from xml.etree import ElementTree

import jinja2
from latex2mathml.converter import convert_to_element
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbgrader.api import Gradebook
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from course_lib import syllabus

LONGEST = 5_000  # characters of a formula that is still set as one
KEPT = {"display", "xmlns", "mathvariant", "stretchy", "fence", "form", "accent", "accentunder", "separator", "lspace",
        "rspace", "minsize", "maxsize", "movablelimits", "linethickness", "columnalign", "columnspacing", "rowspacing",
        "columnlines", "rowlines", "displaystyle", "scriptlevel", "width", "height", "depth", "voffset"}  # fmt: skip

PLAIN_TAG = re.compile(r"&lt;(/?(?:details|summary|sub|sup|kbd|br|b|i|em|strong)) */?>")


def mathml(formula, display):
    """A formula of LaTeX as MathML; as code where it cannot be set.

    Students write formulas too, so the result is built from an element tree: text is text, and of the attributes only
    those of layout stay.

    Parameters
    ----------
    formula : str
        LaTeX without its dollars.
    display : {"block", "inline"}
    """
    formula = html.unescape(formula)  # a grader's copy of a student's text may hold &lt; for <
    try:
        if len(formula) > LONGEST:
            raise ValueError("too long")
        tree = convert_to_element(formula, display=display)
        for node in tree.iter():
            node.text, node.tail = html.unescape(node.text or ""), html.unescape(node.tail or "")
            for name in set(node.attrib) - KEPT:
                del node.attrib[name]
        return ElementTree.tostring(tree, encoding="unicode")
    except Exception:  # whatever a student has put between dollars
        return f"<code>{html.escape(formula)}</code>"


class Renderer(IPythonRenderer):
    """nbconvert's renderer of markdown, with formulas set here rather than left to a script."""

    def block_math(self, body):
        return mathml(body, "block")

    def inline_math(self, body):
        return mathml(body, "inline")

    def latex_environment(self, name, body):
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


@jinja2.pass_context
def markdown2html(context, source):
    """The Jinja filter of this name: a markdown cell as HTML."""
    attachments = context.get("cell", {}).get("attachments", {})
    source = PLAIN_TAG.sub(r"<\1>", source)  # the grader has made every tag text; these, without attributes, do nothing
    renderer = Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


class FeedbackExporter(HTMLExporter):
    """nbgrader's feedback page with our template: a summary on top, readable in a dark room, no network."""

    def __init__(self, config=None, **options):
        chosen = Config(config or {})
        chosen.FeedbackExporter.template_name = "course_feedback"  # more specific than what nbgrader sets
        chosen.FeedbackExporter.extra_template_basedirs = [str(Path(__file__).parent / "templates")]
        super().__init__(config=chosen, **options)
        self.register_filter("markdown2html", markdown2html)
        self.register_filter("summary", summary)

    def from_notebook_node(self, nb, resources=None, **options):
        resources = resources or {}
        resources["chapter"] = _chapter(resources)
        resources["waiting"] = _waiting(resources.get("nbgrader", {}))
        light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "monokai"))
        resources["code_css"] = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
        return super().from_notebook_node(nb, resources, **options)


def summary(nb):
    """A row for each graded cell: its id, what it is called, score, points, and the report's first lines."""
    rows = []
    for cell in nb.cells:
        about = cell.metadata.get("nbgrader", {})
        if not about.get("grade"):
            continue
        name = about["grade_id"].removeprefix("check_")
        said = _report(cell) if cell.cell_type == "code" else ""
        rows.append(
            {
                "id": about["grade_id"],
                "name": name.replace("_", " ") if cell.cell_type == "markdown" else name,
                "score": about.get("score"),
                "points": about.get("points"),
                "said": said if cell.cell_type == "code" else "graded by hand",
            }
        )
    return rows


def _report(cell):
    """What the check said: the failing case and the mistake's name, without the mark and the exercise's name."""
    for output in cell.outputs:
        if output.output_type == "display_data":
            lines = output.data.get("text/plain", "").split("\n")
            named = [line.strip().removeprefix("What it is: ") for line in lines if line.startswith("  What it is: ")]
            return re.sub(r"^\S+ \w+ · ", "", lines[0]) + "".join(f". {line}" for line in named)
    return ""


def _waiting(of):
    """The cells whose points nobody has given yet, and which count as 0 until then."""
    if "db_url" not in of:
        return set()
    with Gradebook(of["db_url"]) as gradebook:
        grades = gradebook.find_submission_notebook(of["notebook"], of["assignment"], of["student"]).grades
        return {grade.name for grade in grades if grade.needs_manual_grade}


def _chapter(resources):
    try:
        return syllabus.chapter(resources["nbgrader"]["assignment"])
    except KeyError:
        return None
