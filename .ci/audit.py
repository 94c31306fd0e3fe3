"""Known vulnerabilities of the pinned versions, where the advisories can be asked.

    python .ci/audit.py constraints.txt constraints-3.12.txt

A vulnerability that was found ends with exit code 1. Where pip-audit cannot be installed or its
service does not answer, a line says that no audit was made, and the exit code is 0: a machine
without a connection can still run all the rest of `.ci/run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

NOT_MADE = "dependency audit NOT MADE"


def main() -> None:
    files = sys.argv[1:]
    if not files:
        sys.exit("name the files of pinned versions: python .ci/audit.py constraints.txt")
    with tempfile.TemporaryDirectory(prefix="nimbus-audit-") as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--timeout", "20", "pip-audit"]
        if subprocess.run(install, stderr=subprocess.DEVNULL).returncode:
            print(f"{NOT_MADE}: pip-audit could not be installed (no connection?)")
            return
        found = [audited(python, file) for file in files]
        sys.exit(any(found))


def audited(python: Path, file: str) -> bool:
    """Whether there is a known vulnerability; tells what was found."""
    command = [str(python), "-m", "pip_audit", "--requirement", file, "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        told = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        print(f"{NOT_MADE} of {file}: {told[0]}")
        return False
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    found = [(row, one) for row in rows for one in row.get("vulns", [])]
    if len(skipped) == len(rows):
        print(f"{NOT_MADE} of {file}: the advisory service knows none of {len(rows)} packages")
        return False
    for row, one in found:
        mended = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"{file}: {row['name']} {row['version']} has {one['id']}, mended in {mended}")
    print(
        f"{file}: {len(rows) - len(skipped)} packages audited, {len(found)} vulnerabilities"
        + (f"; not audited: {', '.join(skipped)}" if skipped else "")
    )
    return bool(found)


if __name__ == "__main__":
    main()
