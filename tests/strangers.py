"""What others made and tests use: recordings of real devices, and programs that are not ours."""

from collections.abc import Callable
import os
from pathlib import Path
import shutil

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).parent.parent.parent / "shared" / "recordings"
RECORDINGS = Path(os.environ.get("RIDETHROUGH_RECORDINGS") or _BESIDE_THE_REPOSITORY)

# Where Debian keeps what an ordinary user's PATH does not name: daemons, and NUT's drivers.
_ALSO_IN = ["/usr/sbin", "/sbin", "/usr/lib/nut", "/lib/nut"]


def recorded[**P, R](pattern: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run a test once for each recording that matches, as its argument `recording`.

        @recorded("nut/*.dev")
        def test_every_dump_is_understood(recording: Path) -> None:

    Without the recordings there is one test, skipped for that reason.
    """
    found = sorted(RECORDINGS.glob(pattern))
    skip = pytest.mark.skip(reason=f"no recordings {pattern} in {RECORDINGS}; RIDETHROUGH_RECORDINGS may say where")
    parameters = [pytest.param(path, id=path.stem) for path in found] or [
        pytest.param(RECORDINGS, id="none", marks=skip)
    ]
    parametrize = pytest.mark.parametrize("recording", parameters)
    return lambda test: pytest.mark.recordings(parametrize(test))


def peer(program: str) -> Path:
    """Return where a program is, or skip the test that needs it.

    With RIDETHROUGH_REQUIRE_PEERS set, as where a machine is meant to have them all, it fails instead.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_ALSO_IN])
    if found := shutil.which(program, path=path):
        return Path(found)
    reason = f"the program {program} is not installed; scripts/setup --peers installs it"
    if os.environ.get("RIDETHROUGH_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)
