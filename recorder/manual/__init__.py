"""Manual pages, made of the commands themselves: ``python -m recorder.manual FOLDER`` writes one a command and one a verb.

What a page says is what ``--help`` says: the same docstrings, options and examples. click-man finds neither arguments, options nor examples in
typer's commands, and help2man takes the frames of ``--help`` for text, so pages are written here, in mdoc(7).
"""

from __future__ import annotations

from pathlib import Path


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into ``folder``, which is there; return their paths."""
    from recorder.manual.commands import entries
    from recorder.manual.page import page

    found = entries()
    commands = [entry.words for entry in found if " " not in entry.words]
    paths = [folder / f"{entry.page_name}.1" for entry in found]
    for path, entry in zip(paths, found, strict=True):
        path.write_text(page(entry, commands), encoding="utf-8")
    return paths
