"""Tells the case study, and prints the plan next to what happened."""

import argparse
import asyncio
from pathlib import Path
import tempfile

from .papers import pair_all
from .story import tell
from .timeline import markdown


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.case_study", description=__doc__)
    parser.add_argument("--by", choices=("jobs", "plan"), default="plan", help="by jobs, or by one plan (default)")
    parser.add_argument("--hard", action="store_true", help="with everything going wrong on the way")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there, too (Markdown)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and configurations in this new folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder) / "rig"

        async def run() -> str:
            papers = await pair_all(Path(folder) / "papers", "127.0.251")
            return markdown(await tell(place, options.by, "127.0.251", papers, hard=options.hard))

        text = asyncio.run(run())
    if options.out is not None:
        options.out.write_text(text)
    print(text)  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
