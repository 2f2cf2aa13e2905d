"""The Pythons that the agent promises to run on, and the one file that people copy."""

import ast
from collections.abc import Callable
import os
from pathlib import Path
import runpy
import shutil
import subprocess
import sys

import pytest

from tests.agent.conftest import pair
from tests.agent.sender import Authority, Sender, invitation
from tests.peers.shutdown_agent import SOURCES, ShutdownAgent

OLDEST = (3, 9)
NEWEST = (3, 14)
MODULES = sorted([*SOURCES.rglob("*.py")])


def _pythons() -> dict[str, str]:
    """Find one interpreter of each minor version: on the path, or where pyenv and uv put theirs."""
    found: dict[str, str] = {}
    home = Path.home()
    kept = [*home.glob(".pyenv/versions/*/bin"), *home.glob(".local/share/uv/python/*/bin")]
    path = os.pathsep.join([*map(str, kept), os.environ.get("PATH", ""), "/usr/bin"])
    for minor in range(OLDEST[1], NEWEST[1]):
        name = f"3.{minor}"
        python = shutil.which(f"python{name}", path=path)
        # A version that pyenv shows on the path may be one that it does not run.
        call = [python or "", "-c", "import ssl, sys; print(sys.version_info[1])"]
        if python and subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip() == str(minor):
            found[name] = python
    return found


PYTHONS = _pythons()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the one file."""
    build: Callable[[Path], Path] = runpy.run_path(str(SOURCES / "build.py"))["build"]
    target = build(tmp_path_factory.mktemp("dist") / "ridethrough-agent.pyz")
    again = build(target.with_name("again.pyz"))
    assert target.read_bytes() == again.read_bytes()
    return target


@pytest.mark.parametrize("version", [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1])])
async def test_the_one_file_runs_on(
    agents: Callable[..., ShutdownAgent], authority: Authority, archive: Path, version: str
) -> None:
    """Paired, commanded, flooded with nonsense, killed, started again and shut down on each Python that is here."""
    if version not in PYTHONS:
        pytest.skip(f"no Python {version} here")
    agent = agents(python=PYTHONS[version], program=("-W", "error::DeprecationWarning", "-I", str(archive)))
    async with invitation(authority) as open_:
        await agent.pair("127.0.0.1", open_.port, open_.code)
    check = agent.call("check")
    assert check.returncode == 0, check.stdout + check.stderr
    agent.start()
    await agent.until_listening()
    async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
        assert (await sender.command("drill"))["ok"]
        assert (await sender.command("execute", {"program": "../x"}))["code"] == "bad_argument"
        sender.send(b'{"type":"ping","pad":' + b"[" * 4000 + b"]" * 4000 + b"}\n")
        await sender.until_closed()
    async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
        sender.send(b"x" * 20_000)
        await sender.until_closed()
    agent.kill()
    agent.start()
    await agent.until_listening()
    async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
        await sender.command("shutdown", {"delay": 0.2})
        await agent.until_down()
    errors = (agent.folder / "stderr").read_text()
    assert "Traceback" not in errors
    assert "Warning:" not in errors


async def test_the_one_file_needs_no_installed_package(
    agents: Callable[..., ShutdownAgent], authority: Authority, archive: Path
) -> None:
    """Isolated, without site-packages."""
    agent = agents(program=("-I", "-S", str(archive)))
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        assert (await sender.command("drill"))["ok"]
    shown = agent.call("install", "--print").stdout
    assert f"{archive} --config" in shown


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_sources_are_of_the_oldest_python(path: Path) -> None:
    """Syntax that it can read, names that it has, and nothing that is not of the standard library."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=OLDEST)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match)
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] in sys.stdlib_module_names for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            assert node.module.split(".")[0] in sys.stdlib_module_names
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in LATER
        if isinstance(node, ast.Call):
            given = {word.arg for word in node.keywords}
            assert not given & {"slots", "kw_only", "process_group"}
    if path.name not in ("__init__.py", "__main__.py"):
        assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


LATER = {
    ("asyncio", "timeout"),
    ("asyncio", "TaskGroup"),
    ("asyncio", "Runner"),
    ("asyncio", "Barrier"),
    ("contextlib", "aclosing"),
    ("contextlib", "chdir"),
    ("datetime", "UTC"),
    ("itertools", "pairwise"),
    ("itertools", "batched"),
    ("sys", "stdlib_module_names"),
    ("ipaddress", "is_ipv4_mapped"),
}
"""Names of the standard library that came after 3.9 and lie at hand."""
