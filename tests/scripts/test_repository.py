"""What may not be in a commit, and what the lock must hold."""

from functools import cache
from importlib.metadata import packages_distributions, requires, version
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tomllib

from homeassistant import bootstrap, components
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "scripts" / "requirements.lock"
LOCKED = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)", re.MULTILINE)

# Put together here, so that this file itself holds none of them.
REGISTRY_HOST = re.compile("(debian|pythonhosted|pypi|npmjs)" + r"[.](org|com)")
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/" + "(work|root|farm)/", re.MULTILINE)


@cache
def tracked_texts() -> dict[str, str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    # A clone that belongs to another user is still ours to read.
    listed = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            try:
                texts[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # pictures
    return texts


@pytest.mark.parametrize("forbidden", [REGISTRY_HOST, MACHINE_PATH], ids=["registry host", "machine path"])
def test_no_tracked_file_names(forbidden: re.Pattern[str]) -> None:
    offenders = [f"{name}: {match[0]!r}" for name, text in tracked_texts().items() if (match := forbidden.search(text))]
    assert offenders == []


def test_lock_names_no_address() -> None:
    assert "://" not in LOCK.read_text(encoding="utf-8")


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.read_text(encoding="utf-8").strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_lock_satisfies_what_was_asked_for() -> None:
    locked = dict(LOCKED.findall(LOCK.read_text(encoding="utf-8")))
    asked = (ROOT / "scripts" / "requirements.in").read_text(encoding="utf-8").splitlines()
    for line in asked:
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)], prereleases=True), line


def test_integrations_home_assistant_starts_by_itself_have_their_libraries() -> None:
    folder = Path(components.__path__[0])
    todo = {
        "config",
        "history",
        "logbook",
        "recorder",
        "zeroconf",
        *bootstrap.DEFAULT_INTEGRATIONS,
    }
    seen: set[str] = set()
    missing = []
    while todo:
        seen.add(domain := todo.pop())
        manifest = json.loads((folder / domain / "manifest.json").read_text(encoding="utf-8"))
        todo |= set(manifest.get("dependencies", [])) - seen
        for requirement in map(Requirement, manifest.get("requirements", [])):
            # Voice libraries are newer than asked for (scripts/requirements.in says why).
            exact = requirement.name not in {"pymicro-vad", "pyspeex-noise"}
            installed = version(requirement.name)
            if exact and not requirement.specifier.contains(installed):
                missing.append(f"{domain}: {requirement}, not {installed}")
    assert missing == []


IMPORT_WITH_NO_MORE = """
from importlib.machinery import PathFinder
import importlib, pkgutil, sys

class Asked(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else PathFinder.find_spec(name, path, target)

absent = set(sys.argv[1:])
sys.meta_path[:] = [Asked if finder is PathFinder else finder for finder in sys.meta_path]
import ridethrough
for module in pkgutil.walk_packages(ridethrough.__path__, "ridethrough."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_bridge_asks_for_all_that_it_imports() -> None:
    # An environment with Home Assistant in it has more than `pip install ./bridge` brings.
    described = tomllib.loads((ROOT / "bridge" / "pyproject.toml").read_text(encoding="utf-8"))
    todo = list(map(Requirement, described["project"]["dependencies"]))
    # The locked 2.0 brings greenlet by itself, 2.1 only for who asks.
    assert any(wanted.name == "sqlalchemy" and "asyncio" in wanted.extras for wanted in todo)
    brought = {"ridethrough"}
    while todo:
        wanted = todo.pop()
        brought.add(canonicalize_name(wanted.name))
        todo += [
            further
            for further in map(Requirement, requires(wanted.name) or [])
            if further.marker is None
            or any(further.marker.evaluate({"extra": extra}) for extra in wanted.extras or {""})
        ]
    absent = [
        module
        for module, owners in packages_distributions().items()
        if brought.isdisjoint(map(canonicalize_name, owners))
    ]
    imported = subprocess.run(
        [sys.executable, "-c", IMPORT_WITH_NO_MORE, *absent], check=False, capture_output=True, text=True
    )
    assert imported.returncode == 0, imported.stderr
