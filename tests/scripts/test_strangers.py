"""The helpers with which other tests reach recordings and programs."""

from pathlib import Path

import pytest

from tests import strangers
from tests.strangers import peer, recorded


def cases(pattern: str) -> list[tuple[str, bool]]:
    """Give the name of each case that a recorded test has, and whether it is skipped."""

    def test(recording: Path) -> None:
        """Stand for a test."""

    [parametrize] = [
        mark
        for mark in recorded(pattern)(test).pytestmark  # type: ignore[attr-defined]  # pytest adds it
        if mark.name == "parametrize"
    ]
    return [(case.id, bool(case.marks)) for case in parametrize.args[1]]


def test_each_recording_is_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "RECORDINGS", tmp_path)
    for name in ("b.dev", "a.dev", "note.txt"):
        (tmp_path / name).touch()
    assert cases("*.dev") == [("a", False), ("b", False)]


def test_without_recordings_one_case_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "RECORDINGS", tmp_path)
    assert cases("*.dev") == [("none", True)]


def test_peer_is_found() -> None:
    assert peer("sh").name == "sh"


def test_missing_peer_skips_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIDETHROUGH_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="scripts/setup --peers"):
        peer("no-such-program")


def test_missing_peer_fails_where_all_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RIDETHROUGH_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        peer("no-such-program")
