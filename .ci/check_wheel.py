"""Look into the wheel: the shipped weights are inside, and nothing that is too large.

python .ci/check_wheel.py dist
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

NEEDED = (
    "nimbus/model/weights/nimbus-s.safetensors",
    "nimbus/model/weights/nimbus-s.json",
    "nimbus/model/weights/nimbus-s.selftest.json",
    "nimbus/py.typed",
)

LARGEST_BYTES = 4_000_000
"""`nimbus-s` has at most 4 MB on disk; no other file comes near."""


def main() -> None:
    wheels = sorted(Path(sys.argv[1]).glob("nimbus_spatial-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"expected one wheel in {sys.argv[1]!r}, found {[w.name for w in wheels]}")
    with ZipFile(wheels[0]) as wheel:
        sizes = {info.filename: info.file_size for info in wheel.infolist()}
    missing = [name for name in NEEDED if name not in sizes]
    large = {name: size for name, size in sizes.items() if size > LARGEST_BYTES}
    if missing or large:
        sys.exit(f"{wheels[0].name}: missing {missing}; larger than {LARGEST_BYTES}: {large}")
    total = sum(sizes.values())
    print(f"{wheels[0].name}: {len(sizes)} files, {total / 1e6:.1f} MB; weights are inside")


if __name__ == "__main__":
    main()
