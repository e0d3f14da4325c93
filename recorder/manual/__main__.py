"""``python -m recorder.manual FOLDER``: write the pages, and print the names of their files."""

from __future__ import annotations

import sys
from pathlib import Path

from recorder.manual import write_pages

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
    sys.exit("usage: python -m recorder.manual FOLDER   (which is there)")
for path in write_pages(Path(sys.argv[1])):
    print(path.name)
