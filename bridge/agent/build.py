"""Makes the one file that people copy: `python build.py [FILE]` writes ridethrough-agent.pyz.

The same sources give the same bytes, whenever and wherever it is made.
"""

from __future__ import annotations

from pathlib import Path
import sys
import zipfile

HERE = Path(__file__).resolve().parent
STAMP = (2020, 1, 1, 0, 0, 0)
MAIN = "import sys\n\nfrom ridethrough_agent.cli import main\n\nsys.exit(main())\n"


def build(target: Path) -> Path:
    """Write the archive, which Python runs as it is (PEP 441)."""
    sources = sorted((HERE / "ridethrough_agent").glob("*.py"))
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in [("__main__.py", MAIN.encode())] + [
                (f"ridethrough_agent/{source.name}", source.read_bytes()) for source in sources
            ]:
                entry = zipfile.ZipInfo(name, STAMP)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
    target.chmod(0o755)
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("ridethrough-agent.pyz")))
