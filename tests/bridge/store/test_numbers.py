"""Numbers that other systems have in their plans: given once and for ever."""

import asyncio
from pathlib import Path
import signal
import sys

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.store import Store

GIVE = """
import asyncio, sys
from pathlib import Path
from ridethrough.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        for turn in range(1000000):
            given = await store.numbers.assign("objects", [f"name {turn}", f"other {turn}"])
            for name, number in given.items():
                print(number, name, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database."""
    return tmp_path / "ridethrough.db"


async def test_numbers_count_from_one_in_the_order_of_the_names(path: Path) -> None:
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", ["b", "a", "b", "c"]) == {"b": 1, "a": 2, "c": 3}
        assert await store.numbers.assign("inputs", ["c", "d", "a"]) == {"c": 3, "d": 4, "a": 2}
        assert await store.numbers.assign("inputs", []) == {}


async def test_each_scope_counts_for_itself(path: Path) -> None:
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", ["a", "b"]) == {"a": 1, "b": 2}
        assert await store.numbers.assign("outputs", ["b"]) == {"b": 1}


async def test_numbers_are_the_same_after_a_restart_whoever_asks_first(path: Path) -> None:
    async with Store.open(path) as store:
        before = await store.numbers.assign("inputs", ["a", "b", "c"])
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", ["new", "c"]) == {"new": 4, "c": 3}
        assert await store.numbers.assign("inputs", ["a", "b", "c"]) == before


async def test_what_is_gone_keeps_its_number(path: Path) -> None:
    async with Store.open(path) as store:
        await store.numbers.assign("inputs", ["ups-1", "ups-2"])
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", ["ups-3"]) == {"ups-3": 3}
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", ["ups-2"]) == {"ups-2": 2}


async def test_those_who_ask_at_the_same_time_do_not_get_the_same(path: Path) -> None:
    async with Store.open(path) as store:
        answers = await asyncio.gather(
            *(store.numbers.assign("inputs", [f"mine {one}", "ours", f"also mine {one}"]) for one in range(20))
        )
        found: dict[str, int] = {}
        for answer in answers:
            for name, number in answer.items():
                assert found.setdefault(name, number) == number
        assert sorted(found.values()) == list(range(1, 42))
        assert await store.numbers.assign("inputs", found) == found


async def test_two_stores_of_one_file_do_not_give_the_same(path: Path) -> None:
    async with Store.open(path) as one, Store.open(path) as other:
        assert await one.numbers.assign("inputs", ["a"]) == {"a": 1}
        assert await other.numbers.assign("inputs", ["b"]) == {"b": 2}
        # The first has read its numbers before the second gave one.
        assert await one.numbers.assign("inputs", ["b"]) == {"b": 2}
        assert await one.numbers.assign("inputs", ["c", "b", "a"]) == {"c": 3, "b": 2, "a": 1}


async def test_names_are_taken_as_they_are(path: Path) -> None:
    names = ["", " ", "ä", "A", "a", "'); DROP TABLE numbers; --", "x" * 10_000, "\N{BATTERY}", "a\nb"]
    async with Store.open(path) as store:
        given = await store.numbers.assign("inputs", names)
    async with Store.open(path) as store:
        assert await store.numbers.assign("inputs", names) == given
    assert len(set(given.values())) == len(names)


async def test_3000_names_are_numbered_at_once(path: Path) -> None:
    names = [f"battery/battery_module-{number}.voltage" for number in range(3000)]
    async with Store.open(path) as store:
        given = await store.numbers.assign("inputs", names)
    assert list(given.values()) == list(range(1, 3001))


@settings(max_examples=20, deadline=None)
@given(turns=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), min_size=1, max_size=8))
def test_whatever_is_asked_a_name_has_one_number_and_a_number_one_name(
    tmp_path_factory: pytest.TempPathFactory, turns: list[list[str]]
) -> None:
    async def ask() -> None:
        path = tmp_path_factory.mktemp("numbers") / "ridethrough.db"
        found: dict[str, int] = {}
        for turn in turns:
            async with Store.open(path) as store:
                for name, number in (await store.numbers.assign("inputs", turn)).items():
                    assert found.setdefault(name, number) == number
        assert sorted(found.values()) == list(range(1, len(found) + 1))

    asyncio.run(ask())


async def test_numbers_that_were_given_outlast_kill_9(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GIVE, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told: dict[str, int] = {}
    try:
        for _ in range(31):
            number, _, name = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip().partition(" ")
            told[name] = int(number)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with Store.open(path) as store:
        assert await store.numbers.assign("objects", told) == told
        (fresh,) = (await store.numbers.assign("objects", ["after"])).values()
        assert fresh > max(told.values())
