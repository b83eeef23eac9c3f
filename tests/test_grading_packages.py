"""What a submission can import while a chapter is graded: its packages and the chapters before, no more."""

import pytest

from autograder.grading import protocol
from autograder.grading.sandbox import Zygote
from course_lib.syllabus import CHAPTERS

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.folder)
# Packages that could do an exercise's work, and what the syllabus calls them.
TEMPTING = {
    "scipy.signal": "scipy", "scipy.ndimage": "scipy", "sklearn": "scikit-learn", "torch": "torch", "cupy": "cupy",
    "tensorflow": "tensorflow", "keras": "keras", "PIL.ImageOps": "pillow", "PIL._imaging": "pillow",
}  # fmt: skip


def said_inside(chapter, source):
    """What a cell prints when it is run in the chapter's sandbox."""
    zygote = Zygote(chapter)
    try:
        connection = zygote.start()
        protocol.send(connection, {"do": "run", "source": source})
        reply = protocol.receive(connection)
        zygote.stop(connection)
    finally:
        zygote.close()
    assert not reply["failed"], reply["failed"]
    return reply["printed"]


@every_chapter
def test_a_submission_imports_its_packages_and_the_chapters_before_and_no_answer(chapter):
    modules = [*TEMPTING, *(f"course_lib.{c.name}" for c in CHAPTERS)]
    source = f"""
import importlib
for name in {modules}:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    print(name)
"""
    # An earlier chapter's module is there if what it needs is; CuPy and progress bars it can do without.
    able = [c for c in CHAPTERS if set(c.packages) - {"cupy", "tqdm"} <= set(chapter.packages)]
    earlier = {f"course_lib.{c.name}" for c in able if c.number < chapter.number}
    packages = {name for name, package in TEMPTING.items() if package in chapter.packages}
    if "tensorflow" in chapter.packages:
        packages.add("keras")  # which TensorFlow needs
    assert set(said_inside(chapter, source).split()) - {"cupy"} == (earlier | packages) - {"cupy"}


@every_chapter
def test_figures_can_be_saved_although_pillow_is_not_there(chapter):
    source = """
import io
import zlib
import matplotlib.image
import matplotlib.pyplot as plt
plt.imshow([[0, 1], [2, 3]], cmap="gray")
file = io.BytesIO()
plt.savefig(file, dpi=20)
print(file.getvalue()[:8] == b"\\x89PNG\\r\\n\\x1a\\n", len(file.getvalue()) > 300)
for owner in (matplotlib.image.PIL.Image, matplotlib.image.PIL.Image.Image):
    print(*[name for name in ("open", "fromarray", "transform", "resize", "transpose") if hasattr(owner, name)])
"""
    if "pillow" not in chapter.packages:
        assert said_inside(chapter, source).split() == ["True", "True"]
