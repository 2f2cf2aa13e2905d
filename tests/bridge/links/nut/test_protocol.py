"""Upsd's line protocol, taken apart and put together."""

from hypothesis import given, strategies as st
import pytest

from ridethrough.links.nut.protocol import (
    ERRORS,
    LINE_LIMIT,
    ROW_LIMIT,
    ListAnswer,
    MalformedError,
    UpsdError,
    answer,
    decode,
    entries,
    quote,
    request,
    split,
)

printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60)


@given(st.lists(printable, min_size=1, max_size=6))
def test_words_survive_being_quoted_and_split(words: list[str]) -> None:
    assert split(" ".join(map(quote, words))) == words


@given(st.text(max_size=80))
def test_any_line_is_split_or_called_malformed(line: str) -> None:
    try:
        words = split(line)
    except MalformedError:
        return
    assert all(isinstance(word, str) for word in words)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_a_request_is_one_line_whatever_is_in_its_words(words: list[str]) -> None:
    try:
        told = request(*words)
    except ValueError, UnicodeEncodeError:
        return
    assert told.count(b"\n") == 1
    assert told.endswith(b"\n")
    assert split(told.decode()) == words


@pytest.mark.parametrize("word", ["a\nINSTCMD ups1 load.off", "a\rb", "\x00", "\x7f"])
def test_a_control_character_is_never_sent(word: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        request("PASSWORD", word)


def test_a_request_longer_than_upsd_reads_is_not_sent() -> None:
    with pytest.raises(ValueError, match="longer"):
        request("SET", "VAR", "ups1", "ups.id", "x" * 600)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('VAR ups1 ups.mfr "APC"', ["VAR", "ups1", "ups.mfr", "APC"]),
        ('VAR ups1 ups.id ""', ["VAR", "ups1", "ups.id", ""]),
        (r'VAR u ups.model "UPS \\ 500i"', ["VAR", "u", "ups.model", "UPS \\ 500i"]),
        (r'VAR u ups.id "19\" rack \#2"', ["VAR", "u", "ups.id", '19" rack #2']),
        (r"CMD u load\ off", ["CMD", "u", "load off"]),
        ("  OK   TRACKING  1  ", ["OK", "TRACKING", "1"]),
        ("", []),
        ("   ", []),
    ],
)
def test_words_are_cut_as_nut_quotes_them(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize("line", ['VAR ups1 a "b', '"', "a\\", 'a"b', '"a"b'])
def test_a_broken_word_is_malformed(line: str) -> None:
    with pytest.raises(MalformedError, match="a word is broken"):
        split(line)


def test_latin_1_in_a_name_is_read() -> None:
    assert decode("Büro\n".encode()) == "Büro"
    assert decode("Büro\r\n".encode("latin-1")) == "Büro"


@pytest.mark.parametrize("code", [*ERRORS, "SOMETHING-NEW"])
def test_each_refusal_is_a_sentence_that_names_the_code(code: str) -> None:
    with pytest.raises(UpsdError) as caught:
        answer(f"ERR {code} more")
    assert caught.value.code == code
    assert f"({code})" in str(caught.value)
    assert len(str(caught.value).split()) > 2


def test_a_refusal_without_a_reason_is_one() -> None:
    with pytest.raises(UpsdError) as caught:
        answer("ERR")
    assert caught.value.code == "UNKNOWN"


def test_an_empty_answer_is_malformed() -> None:
    with pytest.raises(MalformedError):
        answer("")


def feed(listed: ListAnswer, *lines: str) -> list[bool]:
    return [listed.feed(line) for line in lines]


def test_a_list_is_complete_at_its_end() -> None:
    listed = ListAnswer(("VAR", "ups1"))
    done = feed(listed, "BEGIN LIST VAR ups1", 'VAR ups1 ups.load "5"', 'VAR ups1 ups.id "a b"', "END LIST VAR ups1")
    assert done == [False, False, False, True]
    assert entries(listed) == ({"ups.load": "5", "ups.id": "a b"}, 0)


def test_an_empty_list_is_complete() -> None:
    listed = ListAnswer(("CMD", "ups1"))
    assert feed(listed, "BEGIN LIST CMD ups1", "END LIST CMD ups1") == [False, True]
    assert listed.rows == []


def test_rows_that_cannot_be_read_are_counted_and_left_out() -> None:
    listed = ListAnswer(("VAR", "ups1"))
    feed(
        listed,
        "BEGIN LIST VAR ups1",
        'VAR ups1 ups.load "5"',
        'VAR ups1 ups.half "5',
        'VAR other ups.load "6"',
        "VAR ups1",
        'VAR ups1 three "words" here',
        "",
    )
    assert listed.feed("END LIST VAR ups1")
    assert entries(listed) == ({"ups.load": "5"}, 5)


@pytest.mark.parametrize("line", ["OK", "BEGIN LIST VAR ups2", "BEGIN LIST RW ups1", 'VAR ups1 ups.load "5"'])
def test_a_list_that_begins_otherwise_is_malformed(line: str) -> None:
    with pytest.raises(MalformedError, match="BEGIN LIST VAR ups1"):
        ListAnswer(("VAR", "ups1")).feed(line)


def test_a_list_that_ends_as_another_is_malformed() -> None:
    listed = ListAnswer(("VAR", "ups1"))
    listed.feed("BEGIN LIST VAR ups1")
    with pytest.raises(MalformedError, match="END LIST VAR ups1"):
        listed.feed("END LIST VAR ups2")


@pytest.mark.parametrize("begun", [False, True])
def test_a_refusal_in_place_of_or_within_a_list_is_one(begun: bool) -> None:
    listed = ListAnswer(("VAR", "ups1"))
    if begun:
        listed.feed("BEGIN LIST VAR ups1")
    with pytest.raises(UpsdError) as caught:
        listed.feed("ERR DATA-STALE")
    assert caught.value.code == "DATA-STALE"


def test_a_refusal_within_a_list_may_lack_its_reason() -> None:
    listed = ListAnswer(("VAR", "ups1"))
    listed.feed("BEGIN LIST VAR ups1")
    with pytest.raises(UpsdError, match="UNKNOWN"):
        listed.feed("ERR")


def test_a_list_without_an_end_is_given_up() -> None:
    listed = ListAnswer(("VAR", "ups1"))
    listed.feed("BEGIN LIST VAR ups1")
    for number in range(ROW_LIMIT):
        listed.feed(f'VAR ups1 n{number} ""' if number % 2 else "nonsense")
    with pytest.raises(MalformedError, match=f"more than {ROW_LIMIT} rows"):
        listed.feed('VAR ups1 one.more ""')


@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_lines_are_a_list_or_a_known_error(lines: list[str]) -> None:
    listed = ListAnswer(("VAR", "ups1"))
    try:
        feed(listed, "BEGIN LIST VAR ups1", *lines)
    except MalformedError, UpsdError:
        return
    values, malformed = entries(listed)
    assert len(values) + malformed <= len(lines)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_a_list_or_a_known_error(lines: list[bytes]) -> None:
    listed = ListAnswer(("UPS",))
    try:
        feed(listed, "BEGIN LIST UPS", *(decode(line + b"\n") for line in lines))
    except MalformedError, UpsdError:
        return
    assert listed.malformed <= len(lines)


@given(st.dictionaries(printable.filter(bool), printable, max_size=20))
def test_what_upsd_lists_is_what_is_read(variables: dict[str, str]) -> None:
    listed = ListAnswer(("VAR", "ups1"))
    listed.feed("BEGIN LIST VAR ups1")
    for name, value in variables.items():
        line = f"VAR ups1 {quote(name)} {quote(value)}\n".encode()
        assert len(line) < LINE_LIMIT
        assert not listed.feed(decode(line))
    assert listed.feed("END LIST VAR ups1")
    assert entries(listed) == (variables, 0)
