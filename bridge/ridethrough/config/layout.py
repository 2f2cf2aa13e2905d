"""Where things stand in the text of a YAML file, and how to put something else there without touching the rest."""

from collections.abc import Iterable, Iterator, Sequence
import re

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

type Span = tuple[int, int]
type Splice = tuple[int, int, str]
"""Replace the characters from here to there by this."""
type Pair = tuple[Node, Node]

_BLOCK = re.compile(r"[A-Za-z0-9/](?:[\w ./+()?=&@%,:~-]*[\w./+()?=&@%~-])?")
_FLOW = re.compile(r"[A-Za-z0-9/][\w./+-]*")
_NULL = frozenset({"null", "Null", "NULL"})


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Carry out all splices, which must not overlap; of two at one place the first comes first."""
    for start, end, words in sorted(splices, key=lambda splice: splice[:2], reverse=True):
        text = text[:start] + words + text[end:]
    return text


def scalar(value: str, *, flow: bool = False) -> str:
    """Write a value so that YAML reads exactly this text: plainly where that is safe, else in double quotes."""
    safe = (_FLOW if flow else _BLOCK).fullmatch(value) and ": " not in value and value not in _NULL
    return value if safe else quoted(value)


def quoted(value: str) -> str:
    """Write a value in double quotes; whatever is not printable as an escape."""
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    # Not everything that is printable may stand in YAML as it is, but the common letters may.
    if character.isprintable() and code < 0xFFFE and not 0xD800 <= code < 0xE000 and code != 0xFEFF:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Layout:
    """One text and where its nodes end; the parser's marks are too far behind, after comments and empty lines."""

    def __init__(self, text: str) -> None:
        """Take the text that the nodes were composed from."""
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    # Looking

    def end(self, node: Node) -> int:
        """Return where the node's own text ends."""
        if isinstance(node, ScalarNode):
            if node.style in ("|", ">"):
                return len(self.text[: node.end_mark.index].rstrip())
            return int(node.end_mark.index)
        assert isinstance(node, CollectionNode)
        if node.flow_style or not node.value:
            return int(node.end_mark.index)
        last = node.value[-1]
        return self.pair_end(last) if isinstance(node, MappingNode) else self.end(last)

    def pair_end(self, pair: Pair) -> int:
        """Return where a key's value ends; right after the colon when there is none."""
        key, value = pair
        return self.colon(key) if is_empty(value) else self.end(value)

    def colon(self, key: Node) -> int:
        """Return the place after a key's colon."""
        return self.text.index(":", key.end_mark.index) + 1

    def line_start(self, index: int) -> int:
        """Return where the line begins."""
        return self.text.rfind("\n", 0, index) + 1

    def line_end(self, index: int) -> int:
        """Return where the next line begins."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def after_comments(self, index: int, column: int) -> int:
        """Return where the line after this one begins, and after the comments that stand at least so far right."""
        reached = at = self.line_end(index)
        while at < len(self.text):
            following = self.line_end(at)
            line = self.text[at:following].strip()
            if line.startswith("#") and len(self.text[at:following]) - len(self.text[at:following].lstrip()) >= column:
                reached = following
            elif line:
                break
            at = following
        return reached

    # Changing

    def replace(self, pair: Pair, words: str) -> Splice:
        """Put another value behind a key."""
        key, value = pair
        if isinstance(value, ScalarNode) and not is_empty(value) and value.style not in ("|", ">"):
            return (value.start_mark.index, self.end(value), words)
        return (self.colon(key), self.pair_end(pair), f" {words}")

    def insert(self, mapping: MappingNode, lines: Sequence[str]) -> Iterator[Splice]:
        """Add `key: value` lines to a mapping that is not empty."""
        at = self.pair_end(mapping.value[-1])
        if mapping.flow_style:
            yield at, at, "".join(f", {line}" for line in lines)
            return
        yield self.new_lines(self.line_end(at), (" " * mapping.value[0][0].start_mark.column + line for line in lines))

    def new_lines(self, at: int, lines: Iterable[str]) -> Splice:
        """Put whole lines before the line that begins here, or at the end."""
        words = "".join(line + self.newline for line in lines)
        begun = at > 0 and self.text[at - 1] != "\n"
        return at, at, (self.newline if begun else "") + words

    def drop(self, children: Sequence[Pair] | Sequence[Node], index: int, *, flow: bool) -> Splice:
        """Take one of several pairs or items out; an item with the comments that belong to it."""
        spans = [self._span(child) for child in children]
        start, end = spans[index]
        if flow or (index == 0 and len(spans) > 1 and isinstance(children[0], tuple)):
            # The first key of an item stands behind its hyphen.
            if index + 1 < len(spans):
                return start, spans[index + 1][0], ""
            return (spans[index - 1][1] if index else start), end, ""
        child = children[index]
        after = self.line_end(end)
        if not isinstance(child, tuple):
            after = self.after_comments(end, child.start_mark.column)
            start = self.text.rindex("-", 0, start + 1)  # the hyphen may stand on a line of its own
        before = self.line_start(start)
        blank_before = before == 0 or not self.text[self.line_start(before - 1) : before].strip()
        while blank_before and after < len(self.text) and not self.text[after : self.line_end(after)].strip():
            after = self.line_end(after)
        return before, after, ""

    def _span(self, child: Pair | Node) -> Span:
        if isinstance(child, tuple):
            return child[0].start_mark.index, self.pair_end(child)
        return child.start_mark.index, self.end(child)


def is_empty(node: Node) -> bool:
    """Whether nothing at all is written there."""
    return isinstance(node, ScalarNode) and not node.value and node.start_mark.index == node.end_mark.index


def pair_of(mapping: Node | None, key: str) -> Pair | None:
    """Find a key of a mapping."""
    if not isinstance(mapping, MappingNode):
        return None
    return next((pair for pair in mapping.value if isinstance(pair[0], ScalarNode) and pair[0].value == key), None)


def secrets_in(node: Node | None) -> Iterator[str]:
    """Give the name behind every !secret, as often as it stands there."""
    if isinstance(node, ScalarNode) and str(node.tag) == "!secret":
        yield str(node.value).strip()
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from secrets_in(item)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from secrets_in(key)
            yield from secrets_in(value)


__all__ = ["Layout", "Pair", "Splice", "is_empty", "pair_of", "quoted", "scalar", "secrets_in", "spliced"]
