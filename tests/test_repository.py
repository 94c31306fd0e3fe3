import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nimbus

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def requirements(lines):
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in parsed}


def pins(path):
    lines = [line for line in text_of(path).splitlines() if line and not line.startswith("#")]
    split = [line.split("==") for line in lines]
    assert all(len(parts) == 2 for parts in split), "a line that is no exact version"
    return {canonicalize_name(name): version for name, version in split}


def listed_on_page(namespace):
    page = text_of(f"docs/api/{namespace}.md")
    block = page.split(":nosignatures:")[1].split("```")[0]
    return block.split()


def first_cells(page, heading):
    """What stands in back quotes in the first column of the table under `heading`."""
    section = page.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [name for row in rows for name in re.findall(r"`([^`\[]+)`", row.split("|")[1])]


class TestImport:
    def test_importing_nimbus_brings_no_slow_library(self):
        slow = ["torch", "squidpy", "matplotlib", "scanpy", "spatialdata", "anndata", "dask"]
        code = f"import nimbus, sys; print([m for m in {slow} if m in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

    def test_reading_and_simulating_bring_neither_pytorch_nor_figures(self):
        slow = ["torch", "squidpy", "matplotlib.pyplot", "scanpy"]
        code = (
            "import sys; from nimbus import io, datasets; "
            f"print([m for m in {slow} if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

    def test_the_version_is_that_of_the_project(self):
        assert nimbus.__version__ == PROJECT["version"]

    def test_an_unknown_namespace_names_those_there_are(self):
        with pytest.raises(AttributeError, match=r"no attribute 'gr'; it has datasets, gui, io"):
            _ = nimbus.gr


class TestManual:
    @pytest.mark.parametrize("namespace", nimbus.__all__)
    def test_the_page_of_a_namespace_lists_its_public_names(self, namespace):
        if namespace == "train":
            pytest.importorskip("torch")
        public = getattr(nimbus, namespace).__all__
        assert sorted(listed_on_page(namespace)) == sorted(public)

    def test_the_page_of_models_lists_what_of_them_is_public(self):
        pytest.importorskip("torch")
        from nimbus import model

        names = [name for name in model.__all__ if name not in ("IDENTITY", "VIEWS")]
        assert sorted(listed_on_page("models")) == sorted(names)

    def test_every_namespace_has_a_page(self):
        pages = re.findall(r"^(\w+)$", text_of("docs/api/index.md").split("```")[1], re.MULTILINE)
        assert set(nimbus.__all__) <= set(pages)

    def test_every_command_has_its_help_on_the_page(self):
        import typer

        from nimbus.cli import app

        group = typer.main.get_command(app)
        commands = group.list_commands(None)
        shown = re.findall(r"\{command-help\} (\w+)", text_of("docs/command_line.md"))
        assert sorted(shown) == sorted(commands)

    def test_the_example_of_the_readme_runs(self):
        pytest.importorskip("torch")
        blocks = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
        assert blocks, "the README has no example"
        example = compile(blocks[0], "README.md", "exec")
        exec(example, {})


class TestDependencies:
    def test_each_has_a_reason_and_each_reason_a_dependency(self):
        page = text_of("docs/design/dependencies.md")
        assert sorted(first_cells(page, "At run time")) == sorted(
            requirements(PROJECT["dependencies"])
        )

    def test_each_extra_and_what_it_brings_is_explained(self):
        page = text_of("docs/design/dependencies.md")
        section = page.split("## Extras")[1].split("\n## ")[0]
        assert set(first_cells(page, "Extras")) == set(EXTRAS)
        for lines in EXTRAS.values():
            for name in requirements(lines):
                assert f"`{name}`" in section, f"{name} has no reason"

    def test_the_promised_extras_exist(self):
        assert {"train", "gui", "io", "hub", "gpu", "docs", "test"} <= set(EXTRAS)

    def test_there_are_lower_bounds_only(self):
        for line in [*PROJECT["dependencies"], *(one for own in EXTRAS.values() for one in own)]:
            for bound in Requirement(line).specifier:
                assert bound.operator in (">=", "!="), f"{line} is capped; say why beside it"

    def test_what_the_source_imports_is_declared(self):
        declared = set(requirements(PROJECT["dependencies"]))
        made_of = {"tornado", "param"}  # Bokeh and Panel are
        pages = set(requirements(EXTRAS["gui"])) | made_of
        homes = packages_distributions()
        used = {}
        for path in (ROOT / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                for name in names:
                    used.setdefault(name.split(".")[0], path)
        foreign = {m: f for m, f in used.items() if m not in sys.stdlib_module_names}
        foreign.pop("nimbus")
        for module, file in foreign.items():
            homes_of = [canonicalize_name(home) for home in homes.get(module, [module])]
            there = declared | pages if "gui" in file.relative_to(ROOT / "src").parts else declared
            assert there & set(homes_of), f"{file.name} imports {module}, which is not declared"

    @pytest.mark.parametrize(
        ("path", "lines"),
        [
            ("constraints.txt", [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["docs"]]),
            ("constraints-3.12.txt", [*PROJECT["dependencies"], *EXTRAS["test"]]),
        ],
    )
    def test_the_tested_versions_are_pinned_and_fit_the_bounds(self, path, lines):
        pinned = pins(path)
        wanted = requirements(lines)
        if path == "constraints-3.12.txt":
            assert "torch" not in pinned
            del wanted["torch"]
        for name, requirement in wanted.items():
            assert requirement.specifier.contains(pinned[name]), f"{name} {pinned[name]}"


def is_there(module, name):
    found = importlib.import_module(module)
    is_package = hasattr(found, "__path__")
    return hasattr(found, name) or (
        is_package and importlib.util.find_spec(f"{module}.{name}") is not None
    )


def test_what_the_benchmarks_import_of_nimbus_is_there():
    pytest.importorskip("torch")
    used = [
        (path.name, node.module, alias.name)
        for path in sorted((ROOT / "benchmarks").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nimbus"
        for alias in node.names
    ]
    assert len(used) > 100, "proves nothing: hardly a program was read"

    assert [one for one in used if not is_there(*one[1:])] == []


def tracked_files():
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or not a clone")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_file_names_a_place_on_somebodys_machine():
    place = re.compile(rb"(?<![\w.~/])/(?:home|root|Users|work|opt|mnt)/\w")
    assert place.search(b"see /" + b"home/somebody"), "proves nothing: the pattern finds none"
    found = []
    for path in tracked_files():
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content[:1024] and place.search(content):
            found.append(str(path.relative_to(ROOT)))
    assert found == []
