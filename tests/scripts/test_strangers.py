"""The helpers with which other tests reach recordings and programs."""

import pytest

from tests.strangers import peer


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
