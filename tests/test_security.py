"""The source uses nothing that would run what a file holds; see SECURITY.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

NEVER = {
    "eval", "exec", "compile", "__import__", "input",
    "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads",
    "dill.load", "dill.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open",
    "pandas.read_pickle", "pd.read_pickle", "jsonpickle.decode",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "ruamel.yaml.load",
    "shutil.unpack_archive", "tarfile.open", "zipfile.ZipFile", "torch.hub.load",
    "torch.jit.load", "torch.package.PackageImporter", "tempfile.mktemp",
    "xml.etree.ElementTree.parse", "ElementTree.parse", "ElementTree.fromstring",
    "lxml.etree.parse", "minidom.parse", "minidom.parseString",
}  # fmt: skip
"""Calls that run, unpickle, unpack or expand what they are given."""

NEVER_METHODS = {"extractall", "extract"}
"""Methods of archives."""

MUST_SAY = {"torch.load": ("weights_only", True)}
MUST_NOT_SAY = {"np.load": "allow_pickle", "numpy.load": "allow_pickle"}


def faults(tree: ast.AST) -> list[str]:
    """What of the source of a module is not allowed, with its line."""
    full = _imported(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            found += [
                f"{node.lineno}: imports {name}"
                for name in names
                if name
                in ("marshal", "shelve", "dill", "cloudpickle", "yaml", "tarfile", "zipfile")
            ]
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func, full)
        found += [f"{node.lineno}: {what}" for what in _of_call(node, name)]
    return found


def _of_call(node: ast.Call, name: str) -> list[str]:
    said = {k.arg: getattr(k.value, "value", "computed") for k in node.keywords}
    found = []
    if name in NEVER or (isinstance(node.func, ast.Attribute) and node.func.attr in NEVER_METHODS):
        found.append(f"calls {name}")
    if name.endswith(".eval") and node.args:  # of a data frame; that of a network takes nothing
        found.append(f"calls {name} of text")
    if name in MUST_SAY:
        keyword, value = MUST_SAY[name]
        if said.get(keyword) is not value:
            found.append(f"{name} without {keyword}={value}")
    if name in MUST_NOT_SAY and said.get(MUST_NOT_SAY[name], False) is not False:
        found.append(f"{name} with {MUST_NOT_SAY[name]}")
    if said.get("shell", False) is not False:
        found.append(f"{name} with shell")
    if said.get("trust_remote_code", False) is not False:
        found.append(f"{name} with trust_remote_code")
    return found


def _imported(tree: ast.AST) -> dict[str, str]:
    """Full name of each imported one."""
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            full.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
        elif isinstance(node, ast.Import):
            full.update({a.asname: a.name for a in node.names if a.asname})
    return full


def _name(function: ast.expr, full: dict[str, str]) -> str:
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return ".".join(["?", *reversed(parts)])
    return ".".join([full.get(function.id, function.id), *reversed(parts)])


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "exec(open('x').read())",
        "import pickle\npickle.load(f)",
        "from pickle import loads as l\nl(b)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=flag)",
        "import torch\ntorch.load('a.pt')",
        "import torch\ntorch.load('a.pt', weights_only=False)",
        "import yaml\nyaml.load(t)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "archive.extractall('x')",
        "import shutil\nshutil.unpack_archive('a.zip')",
        "import pandas as pd\npd.read_pickle('x')",
        "frame.eval(text)",
        "from xml.etree import ElementTree\nElementTree.parse('x')",
    ],
)
def test_a_planted_fault_is_found(text):
    assert faults(ast.parse(text)) != []


def test_what_is_allowed_is_not_found():
    text = "import numpy as np, torch\nnp.load('a')\ntorch.load('a', weights_only=True)\nre.compile"
    assert faults(ast.parse(text)) == []


def test_the_source_runs_nothing_that_a_file_holds():
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        bad = faults(ast.parse(path.read_text(encoding="utf-8")))
        if bad:
            found[str(path.relative_to(SOURCE))] = bad
    assert found == {}


def test_one_module_alone_reads_a_pickle():
    users = [
        path.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert users == ["pickled.py"]
