"""Runs the parts one after another."""

import asyncio
from importlib import import_module
from importlib.util import find_spec
import sys

from . import PARTS


def main(names: list[str]) -> int:
    """Run the named parts, all of them without names; returns the exit status."""
    if unknown := [name for name in names if name not in PARTS]:
        print(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
        return 2
    for name in names or PARTS:
        print(f"\n{PARTS[name]}")
        module = f"{__package__}.{name}"
        if find_spec(module) is None:
            print(f"  not measured: there is no {module}")
            continue
        asyncio.run(import_module(module).main())
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
