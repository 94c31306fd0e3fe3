"""Print the requirements of the project without those that are named, one a line.

python .ci/requirements.py --extra test --without torch
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    asked = parser.parse_args()
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in asked.extra:
        lines += project["optional-dependencies"][extra]
    for line in lines:
        if re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] not in asked.without:
            print(line)


if __name__ == "__main__":
    main()
