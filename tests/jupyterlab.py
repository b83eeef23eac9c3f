"""A real JupyterLab in a real Chromium, for the browser tests: servers on loopback, and a page to act on.

What a test does, it does as a person does: keyboard, mouse, menus. What it waits for, it asks JupyterLab itself
(``--LabApp.expose_app_in_browser``): no test sleeps.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from autograder.notebooks import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0
WAIT = 90_000  # ms until something that has to come is given up; nothing waits this long when all is well


@contextlib.contextmanager
def server(folder, room, home, config=None):
    """JupyterLab with ``folder`` open, as ``make lab`` and ``make teach`` start it.

    Parameters
    ----------
    folder : Path
    room : {"student", "instructor"}
    home : Path
        Where Jupyter keeps its own files, so that those of whoever runs the tests neither matter nor change.
    config : Path, optional
        A folder with a further ``nbgrader_config.py``.

    Yields
    ------
    str
        Its address.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [str(ROOT / ".jupyter" / room), *([str(config)] if config else [])]
    environment = os.environ | {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(places),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "COURSE_EPOCHS": "10",
    }
    environment.pop("NBGRADER_EXECUTION", None)
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "server.log", "w") as log:
        process = subprocess.Popen(
            command + ["--allow-root"] * ROOT_USER, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _await_answer(f"http://127.0.0.1:{port}/api/status", process, home / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _await_answer(address, process, log):
    """Ask until the server answers: it writes no sign of its own."""
    import time

    for _ in range(WAIT // 250):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class Lab:
    """A page with JupyterLab in it."""

    def __init__(self, page, address):
        self.page, self.address, self.errors = page, address, []
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path):
        """Open a notebook and wait for its kernel."""
        self.page.goto(f"{self.address}/lab/tree/{path}?reset")
        self.ready(path)

    def ready(self, path):
        """Wait until the notebook is the one in front, and its kernel waits for work."""
        self.page.wait_for_function(
            """path => {
              const panel = window.jupyterapp?.shell.currentWidget;
              return panel?.context?.path === path && panel.context.isReady && panel.content.model
                && panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === 'idle';
            }""",
            arg=path,
        )

    def select(self, cell_id):
        """Make a cell the active one, as clicking it in the outline does, and return it."""
        self.page.evaluate(
            """async id => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              const k = notebook.widgets.findIndex(cell => cell.model.id === id);
              notebook.activeCellIndex = k;
              notebook.mode = 'command';
              await notebook.scrollToItem(k, 'start');
              notebook.node.focus();
            }""",
            cell_id,
        )
        cell = self.page.locator(".jp-Notebook .jp-Cell.jp-mod-active:visible")
        cell.scroll_into_view_if_needed()
        return cell

    def write(self, cell_id, source):
        """Type over a cell."""
        self.select(cell_id).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Escape")

    def run(self, *cell_ids):
        """Press Shift-Enter in cells and wait until they have run."""
        for cell_id in cell_ids:
            self.select(cell_id)
            self.page.keyboard.press("Shift+Enter")
            self.ran(cell_id)

    def ran(self, *cell_ids):
        """Wait until cells have run; all code cells if none is named."""
        self.page.wait_for_function(
            """ids => {
              const panel = window.jupyterapp.shell.currentWidget;
              const cells = panel.content.widgets.filter(cell => cell.model.type === 'code'
                && cell.model.sharedModel.getSource().trim() && (!ids.length || ids.includes(cell.model.id)));
              return panel.sessionContext.session.kernel.status === 'idle'
                && cells.every(cell => cell.model.executionState === 'idle' && cell.model.executionCount !== null);
            }""",
            arg=list(cell_ids),
        )

    def menu(self, *path):
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-item", has_text=path[0]).first.click()
        for entry in path[1:]:
            self.page.locator(".lm-Menu-item:visible", has_text=entry).first.click()

    def notebook(self):
        """The notebook in front as JupyterLab has it now."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON()")

    def save(self):
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def picture(self, name):
        """Keep a picture of the page where COURSE_PICTURES says so."""
        if os.environ.get("COURSE_PICTURES"):
            self.page.screenshot(path=Path(os.environ["COURSE_PICTURES"], f"{name}.png"))


@contextlib.contextmanager
def page(browser, address):
    """A new window, as a :class:`Lab`."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    try:
        yield Lab(context.new_page(), address)
    finally:
        context.close()
