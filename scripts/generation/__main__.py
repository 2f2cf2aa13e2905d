"""The command: write the derived files, or with --check only say which have drifted."""

import argparse
from collections.abc import Iterator
import difflib
import json
from pathlib import Path
import sys

from ridethrough.catalogue import load_catalogue

from . import component
from .document import document
from .locale import Locale

ROOT = Path(__file__).parents[2]
WRITTEN = Path(__file__).parent / "strings"
"""What is written by hand: config flow, exceptions, issues, services, and icons of those."""
LANGUAGES = ("en", "de")


def derived() -> Iterator[tuple[str, str]]:
    """Make every derived file: its path in the repository, and its text."""
    catalogue = load_catalogue()
    locales = {language: Locale.load(catalogue, language) for language in LANGUAGES}
    integration = "custom_components/ridethrough"
    for language, locale in locales.items():
        text = component.dump(
            component.merge(component.spread(_written(language)), component.strings(catalogue, locale))
        )
        yield f"{integration}/translations/{language}.json", text
        if language == "en":
            yield f"{integration}/strings.json", text
    yield f"{integration}/icons.json", component.dump(component.merge(_written("icons"), component.icons(catalogue)))
    yield f"{integration}/catalogue.json", component.dump_table(component.table(catalogue))
    yield "bridge/ridethrough/catalogue/CATALOGUE.md", document(catalogue, locales["de"])


def _written(name: str) -> component.Tree:
    tree: component.Tree = json.loads((WRITTEN / f"{name}.json").read_text(encoding="utf-8"))
    return tree


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Return 1 if --check finds a file that differs from what would be written, else 0."""
    parser = argparse.ArgumentParser(prog="scripts/generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something has drifted")
    check = parser.parse_args(arguments).check
    drifted = 0
    for name, text in derived():
        path = root / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        drifted += 1
        if check:
            lines = difflib.unified_diff(
                old.splitlines(), text.splitlines(), name, f"{name} as generated", "", "", 1, ""
            )
            print("\n".join(lines))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if check and drifted:
        print(f"generate: {drifted} files have drifted from the catalogue; run scripts/generate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
