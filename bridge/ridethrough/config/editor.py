"""Changes one device in the text of a configuration file and leaves every other character as it is.

Text in, text out. What comes out must still be checked as any file is: this looks only after the places.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
import re

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .document import SECRETS as SECRETS_FILE, compose
from .draft import ORDER, SECRETS, SECTIONS, SETTINGS, DeviceDraft, Kind
from .errors import ConfigureError
from .layout import Layout, Splice, is_empty, pair_of, quoted, scalar, secrets_in, spliced
from .schema import Key

_INDENT = 2


@dataclass(frozen=True, slots=True)
class Texts:
    """A configuration and the secrets beside it; None where there is no such file."""

    config: str
    secrets: str | None = None

    @property
    def revision(self) -> str:
        """A name for exactly these texts."""
        parts = (self.config, "" if self.secrets is None else self.secrets)
        return sha256(b"\0".join(sha256(part.encode()).digest() for part in parts)).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be written, in this order: secrets with what is new, the configuration, secrets without the old."""

    config: str
    secrets: str | None
    tidied: str | None
    """The secrets without those that nothing refers to any longer."""

    @property
    def after(self) -> Texts:
        """What stands there in the end."""
        return Texts(self.config, self.tidied)


def put(texts: Texts, draft: DeviceDraft) -> Edit:
    """Add a device, or change the one of this key. Raises ConfigureError (invalid, not_writable)."""
    root = _root(texts.config)
    found = _find(root, draft.key)
    keeper = _Keeper(texts, root, draft.key, None if found is None else found.item)
    wanted = _wanted(draft, keeper)
    layout = Layout(texts.config)
    if found is None:
        splices = list(_added(layout, root, draft, {key: words for key, words in wanted.items() if words is not None}))
    else:
        if draft.kind not in (None, found.kind):
            raise ConfigureError(
                "invalid", f"{draft.key} is a {found.kind}; remove it first to make it another.", "kind"
            )
        splices = list(_changed(layout, found.item, wanted))
    edit = keeper.finish(spliced(texts.config, splices))
    _verify(texts.config, edit.config, draft.key, wanted)
    _compose.cache_clear()
    return edit


def remove(texts: Texts, key: str) -> Edit:
    """Take a device out. Raises ConfigureError (unknown_device, not_writable)."""
    root = _root(texts.config)
    found = _find(root, key)
    if found is None:
        raise ConfigureError("unknown_device", f"There is no device {key} in the configuration file.")
    layout = Layout(texts.config)
    splice = layout.drop(found.items.value, found.index, flow=bool(found.items.flow_style))
    edit = _Keeper(texts, root, key, found.item).finish(spliced(texts.config, [splice]))
    _verify(texts.config, edit.config, key, None)
    _compose.cache_clear()
    return edit


# Where it stands


@dataclass(frozen=True, slots=True)
class _Found:
    kind: Kind
    items: SequenceNode
    index: int
    item: MappingNode


@lru_cache(maxsize=8)
def _compose(text: str) -> Node | None:
    """Read the nodes of a text; of a long one that takes its time, and each edit looks at the same two often."""
    """Read the nodes."""
    file = Path("-")
    return compose(file, {file: text.encode()})


def _root(text: str) -> MappingNode | None:
    root = _compose(text)
    if root is None:
        return None
    if not isinstance(root, MappingNode) or root.flow_style:
        raise ConfigureError("not_writable", "The configuration file is written within braces; edit it by hand.")
    return root


def _find(root: MappingNode | None, key: str) -> _Found | None:
    for kind, section in SECTIONS.items():
        pair = pair_of(root, section)
        if pair is None or not isinstance(pair[1], SequenceNode):
            continue
        for index, item in enumerate(pair[1].value):
            named = pair_of(item, Key.ID)
            if named is not None and isinstance(named[1], ScalarNode) and named[1].value == key:
                return _Found(kind, pair[1], index, item)
    return None


# What is to stand there


def _wanted(draft: DeviceDraft, keeper: _Keeper) -> dict[str, str | None]:
    """Return what is to be written behind each key, for a block; None to remove it."""
    wanted: dict[str, str | None] = {}
    for key, value in draft.fields.items():
        wanted[key] = None if value is None else scalar(value)
    for key, value in draft.secrets.items():
        if value is None:
            wanted[key] = None
        elif key == Key.USERNAME:
            wanted[key] = scalar(value)
        else:
            wanted[key] = f"!secret {keeper.keep(key, value)}"
    if draft.allow is not None:
        wanted[Key.ALLOW] = f"[{', '.join(scalar(group, flow=True) for group in draft.allow)}]" if draft.allow else None
    return wanted


def _changed(layout: Layout, item: MappingNode, wanted: Mapping[str, str | None]) -> Iterator[Splice]:
    flow = bool(item.flow_style)
    new: list[str] = []
    for key in ORDER:
        if key not in wanted:
            continue
        words, pair = wanted[key], pair_of(item, key)
        if pair is None:
            if words is not None and not _is_default(key, words):
                new.append(f"{key}: {_in(words, flow=flow)}")
        elif words is None:
            index = next(index for index, one in enumerate(item.value) if one is pair)
            yield layout.drop(item.value, index, flow=flow)
        elif not _same(key, pair[1], words):
            yield layout.replace(pair, _in(words, flow=flow))
    if new:
        yield from layout.insert(item, new)


def _in(words: str, *, flow: bool) -> str:
    """Within braces commas and the like must be quoted."""
    if not flow or words.startswith(('"', "[", "!secret ")):
        return words
    return scalar(words, flow=True)


def _same(key: str, node: Node, words: str) -> bool:
    """Whether what stands there means the same, as 3 kVA and 3000; then it stays as it is written."""
    wanted = _compose(words)
    if _plain(node) == _plain(wanted):
        return True
    if key == Key.ALLOW:
        return set(_groups(node)) == set(_groups(wanted))
    if not isinstance(node, ScalarNode) or not isinstance(wanted, ScalarNode) or str(node.tag) == "!secret":
        return False
    if key == Key.ENABLED:
        return (node.value.lower() in ("yes", "true", "on")) is (wanted.value == "yes")
    measure = SETTINGS.get(key)
    if measure is None:
        return False
    try:
        return measure.parse(node.value) == measure.parse(wanted.value)
    except ValueError:
        return False


def _is_default(key: str, words: str) -> bool:
    """Whether it need not be written."""
    return key == Key.ENABLED and words == "yes"


def _groups(node: Node | None) -> list[str]:
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    return [str(item.value) for item in nodes if isinstance(item, ScalarNode)]


def _added(layout: Layout, root: MappingNode | None, draft: DeviceDraft, wanted: Mapping[str, str]) -> Iterator[Splice]:
    if "link" not in wanted:
        raise ConfigureError("invalid", "A new device needs a link.", Key.LINK)
    section = SECTIONS[draft.kind or "ups"]
    pairs = {Key.ID: scalar(draft.key)}
    pairs |= {key: wanted[key] for key in ORDER if key in wanted and not _is_default(key, wanted[key])}
    lines = [f"{key}: {words}" for key, words in pairs.items()]
    pair = pair_of(root, section)
    column = 0 if root is None else root.value[0][0].start_mark.column
    if pair is None:
        at = len(layout.text) if root is None else layout.after_comments(layout.end(root), column + 1)
        blank = [""] if layout.text[:at].strip() else []
        yield layout.new_lines(at, [*blank, " " * column + f"{section}:", *_item(lines, column + _INDENT, _INDENT)])
        return
    key, items = pair
    if is_empty(items):
        yield layout.new_lines(layout.line_end(layout.colon(key)), _item(lines, column + _INDENT, _INDENT))
    elif isinstance(items, SequenceNode) and not items.value:
        words = layout.newline.join(["", *_item(lines, column + _INDENT, _INDENT)])
        yield layout.colon(key), layout.end(items), words
    elif isinstance(items, SequenceNode) and items.flow_style:
        at = layout.end(items.value[-1])
        yield at, at, ", {" + ", ".join(f"{key}: {_in(words, flow=True)}" for key, words in pairs.items()) + "}"
    elif isinstance(items, SequenceNode):
        last = items.value[-1]
        at = layout.after_comments(layout.end(last), last.start_mark.column)
        dash = layout.text.rindex("-", 0, last.start_mark.index + 1)
        before = layout.line_start(dash)
        apart = not layout.text[layout.line_start(before - 1) : before].strip()
        yield layout.new_lines(
            at,
            [
                *([""] if apart else []),
                *_item(lines, items.start_mark.column, last.start_mark.column - items.start_mark.column),
            ],
        )
    else:
        raise ConfigureError("not_writable", f"{section}: in the configuration file is no list; edit it by hand.")


def _item(lines: list[str], dash: int, offset: int) -> list[str]:
    first, *rest = lines
    return [" " * dash + "-" + " " * (offset - 1) + first, *(" " * (dash + offset) + line for line in rest)]


# Secrets


class _Keeper:
    """Puts the secrets of one device into the other file, under names that are this device's own."""

    def __init__(self, texts: Texts, root: Node | None, key: str, item: MappingNode | None) -> None:
        self._text = texts.secrets
        self._key = key
        self._used = Counter(secrets_in(root))
        self._former = Counter(secrets_in(item))
        self._item = item

    def keep(self, secret: str, value: str) -> str:
        """Note a secret down and return the name to refer to it by."""
        own = f"{self._key}_{secret}"
        named = pair_of(self._item, secret)
        current = next(secrets_in(named[1]), None) if named is not None else None
        root = self._secrets()
        if current is not None and self._is_own(current) and self._used[current] == 1 and pair_of(root, current):
            name = current
        else:
            # What a person has written under this name stays theirs.
            names = (own if number == 1 else f"{own}_{number}" for number in range(1, 1000))
            name = next(name for name in names if pair_of(root, name) is None)
        layout = Layout(self._text or "")
        pair = pair_of(root, name)
        if pair is not None:
            splices = [layout.replace(pair, quoted(value))]
        else:
            splices = [layout.new_lines(len(layout.text), [f"{scalar(name)}: {quoted(value)}"])]
        self._text = spliced(layout.text, splices)
        return name

    def finish(self, config: str) -> Edit:
        """Return what is to be written when this is the new configuration."""
        used = set(secrets_in(_compose(config)))
        tidied = self._text
        for name in self._former:
            if name in used or not self._is_own(name) or tidied is None:
                continue
            root = _compose(tidied)
            pair = pair_of(root, name)
            if pair is not None and isinstance(root, MappingNode) and not root.flow_style:
                layout = Layout(tidied)
                start, end = layout.line_start(pair[0].start_mark.index), layout.line_end(layout.pair_end(pair))
                tidied = spliced(tidied, [(start, end, "")])
        return Edit(config, self._text, tidied)

    def _is_own(self, name: str) -> bool:
        return any(re.fullmatch(re.escape(f"{self._key}_{secret}") + r"(_\d+)?", name) for secret in SECRETS)

    def _secrets(self) -> Node | None:
        root = _compose(self._text or "")
        if root is not None and (not isinstance(root, MappingNode) or root.flow_style):
            raise ConfigureError("not_writable", f"{SECRETS_FILE} is written within braces; edit it by hand.")
        return root


# Proof


def _verify(before: str, after: str, key: str, wanted: Mapping[str, str | None] | None) -> None:
    """Raise ConfigureError unless exactly this device is other than before: odd files cannot be edited blindly."""
    old, new = _without(_plain(_compose(before)), key), _without(_plain(_compose(after)), key)
    item = _find(_root(after), key)
    good = old == new and (item is None) is (wanted is None)
    if good and item is not None and wanted is not None:
        for name, words in wanted.items():
            pair = pair_of(item.item, name)
            if words is None or pair is None:
                good = good and pair is None and (words is None or _is_default(name, words))
            else:
                good = good and _same(name, pair[1], words)
    if not good:
        raise ConfigureError(
            "not_writable", f"{key} cannot be changed without touching something else in the file; edit it by hand."
        )


type Plain = str | None | tuple[str, str] | list[Plain] | dict[str, Plain]


def _plain(node: Node | None) -> Plain:
    match node:
        case ScalarNode():
            if str(node.tag) == "!secret":
                return "!secret", str(node.value).strip()
            return None if str(node.tag) == "tag:yaml.org,2002:null" else str(node.value)
        case SequenceNode():
            return [_plain(item) for item in node.value]
        case MappingNode():
            return {str(key.value): _plain(value) for key, value in node.value}
    return None


def _without(tree: Plain, key: str) -> Plain:
    """Take a device out; an empty list is as good as none."""
    if not isinstance(tree, dict):
        return {} if tree is None else tree
    rest = dict(tree)
    for section in SECTIONS.values():
        items = rest.pop(section, None)
        kept = (
            [item for item in items if not (isinstance(item, dict) and item.get(Key.ID) == key)]
            if isinstance(items, list)
            else []
        )
        if kept:
            rest[section] = list[Plain](kept)
    return rest


__all__ = ["Edit", "Texts", "put", "remove"]
