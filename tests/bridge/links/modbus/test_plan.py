"""Which registers are read together, and what becomes of a group that is refused."""

from itertools import pairwise

from hypothesis import given, strategies as st

from ridethrough.links.modbus.plan import Group, grouped, spans
from ridethrough.maps.registers import Register, read_registers

HEAD = (
    "address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,values,bits,writable,"
    "name,note,source\n"
)


def rows(*addresses: int | str, kind: str = "u16", functions: str = "3") -> tuple[Register, ...]:
    """Make rows at these addresses."""
    lines = [f"{address},,{functions},{kind},,,,,,,,,,,,A,,M:1" for address in addresses]
    return read_registers("test.csv", HEAD + "\n".join(lines), {})


def planned(some: tuple[Register, ...], gap: int = 8, longest: int = 100) -> list[tuple[int, int]]:
    """Group rows; address and count of each group."""
    groups = grouped(some, lambda row: row.functions[0], gap, longest)
    return [(group.address, group.count) for group in groups]


def test_a_group_spans_gaps_up_to_the_limit() -> None:
    some = rows(10, 12, 21, 31)
    assert planned(some) == [(10, 12), (31, 1)]
    assert planned(some, gap=9) == [(10, 22)]
    assert planned(some, gap=0) == [(10, 1), (12, 1), (21, 1), (31, 1)]


def test_a_group_is_no_longer_than_allowed() -> None:
    assert planned(rows("0-299"), longest=125) == [(0, 125), (125, 125), (250, 50)]
    assert planned(rows(0, 2, 4, kind="u32"), longest=5) == [(0, 4), (4, 2)]
    assert planned(rows(0, kind="u32"), longest=1) == [(0, 2)]


def test_each_function_has_its_own_groups() -> None:
    some = rows(1) + rows(2, functions="4") + rows(3)
    assert planned(some) == [(1, 3), (2, 1)]


def test_what_no_function_reads_is_left_out() -> None:
    assert grouped(rows(1, 2), lambda row: None if row.address == 1 else 3, 8, 100)[0].address == 2


def test_a_refused_group_is_taken_apart_at_its_gaps_and_then_halved() -> None:
    (group,) = grouped(rows(10, 11, 12, 13, 20), lambda _: 3, 8, 100)
    first, second = group.split()
    assert [row.address for row in first.rows] == [10, 11, 12, 13]
    assert [row.address for row in second.rows] == [20]
    assert [[row.address for row in part.rows] for part in first.split()] == [[10, 11], [12, 13]]
    assert second.split() == ()


def test_rows_that_show_one_register_stay_together() -> None:
    group = Group(3, rows(10) + rows(10) + rows(11))
    assert [len(part.rows) for part in group.split()] == [2, 1]
    assert group.words(group.rows[2], (7, 8)) == (8,)


def test_addresses_are_written_for_people() -> None:
    assert spans(rows(1, 2, 3, 7) + rows(8, kind="u32")) == "1-3, 7-9"
    assert spans(()) == ""


@given(
    addresses=st.sets(st.integers(0, 400), min_size=1),
    gap=st.integers(0, 124),
    longest=st.integers(1, 125),
)
def test_every_register_is_in_one_group_and_no_group_breaks_the_limits(
    addresses: set[int], gap: int, longest: int
) -> None:
    groups = grouped(rows(*sorted(addresses)), lambda _: 3, gap, longest)
    assert sorted(row.address for group in groups for row in group.rows) == sorted(addresses)
    for group in groups:
        assert group.count <= longest
        inner = [row.address for row in group.rows]
        assert all(later - earlier - 1 <= gap for earlier, later in pairwise(inner))
        parts = group.split()
        assert not parts or sorted(row.address for part in parts for row in part.rows) == inner
