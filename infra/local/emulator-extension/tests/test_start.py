"""The start: the extension refuses an emulator that it does not fit, in one line."""

import ast
import runpy
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, PYTHON

PACKAGE = PROJECT / "emulator_extension"
UPSTREAM = runpy.run_path(str(PACKAGE / "upstream.py"))


def start(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, *arguments], env={"PYTHONPATH": path}, cwd=PROJECT, capture_output=True, text=True, timeout=60
    )


def test_another_version_of_the_emulator_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ministack-9.9.9.dist-info").mkdir()
    (tmp_path / "ministack-9.9.9.dist-info/METADATA").write_text("Name: ministack\nVersion: 9.9.9\n")
    found = start("-m", "emulator_extension", path=str(tmp_path))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "local AWS: ministack 1.5.33 is needed, found 9.9.9; remove .local-aws and run make again\n"


@pytest.mark.parametrize("name", ["kinesis._list_shards", "iot._WSSession._evaluates_policies"])
def test_a_name_that_is_missing_in_the_emulator_is_one_line(name: str) -> None:
    program = (
        f"from ministack.services import iot, kinesis; del {name}; import emulator_extension.__main__ as m; m.main()"
    )
    found = start("-c", program)
    assert found.stdout == ""
    assert found.stderr == (
        f"local AWS: this extension fits ministack 1.5.33; ministack.services.{name} is missing in it; "
        "remove .local-aws and run make again\n"
    )


def test_the_version_is_the_one_that_is_installed() -> None:
    [pinned] = [
        each
        for each in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
        if each.startswith("ministack")
    ]
    assert pinned == f"ministack=={UPSTREAM['FITS']}"


def test_the_table_has_the_names_that_the_package_uses() -> None:
    listed = {f"{module}.{name}" for module, names in UPSTREAM["NAMES"].items() for name in names.split()}
    used = {name for path in PACKAGE.glob("*.py") for name in uses(ast.parse(path.read_text()))}
    assert not listed - used, "listed, but not used"
    # An attribute of a listed name, or what leads to one.
    assert not [
        name
        for name in used
        if not any(f"{each}.".startswith(f"{name}.") for each in listed)
        and not any(f"{name}.".startswith(f"{each}.") for each in listed)
    ], "used, but not listed"


def uses(tree: ast.Module) -> Iterator[str]:
    """The emulator's names in a module: attributes of what it imports, and what it replaces."""
    imported = {
        alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack")
        for alias in node.names
    }

    def full(node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{full(node.value)}.{node.attr}"
        return imported.get(node.id, "") if isinstance(node, ast.Name) else ""

    yield from imported.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and full(node).startswith("ministack"):
            yield full(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("replaces", "extends"):
            owner, name = node.args
            if full(owner) and isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield f"{full(owner)}.{name.value}"
