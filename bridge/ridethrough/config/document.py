"""A YAML file as plain values that still know their lines, with its secrets put in.

Every scalar stays the text that was written (a password of `0123` keeps its zero, `id: no` is the word no); what
type it must be is the schema's affair. Duplicate keys, foreign tags and unknown secrets are collected, not raised, so
that a person sees all of them at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import logging
from pathlib import Path
import stat
from types import MappingProxyType

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from .errors import ConfigError, Problem

_LOGGER = logging.getLogger(__name__)

SECRETS = "secrets.yaml"
LARGEST = 1_000_000
"""Bytes; a configuration is written by a person."""
MOST_NODES = 50_000
"""Aliases can make a few lines stand for billions of values."""
DEEPEST = 30

_YAML = "tag:yaml.org,2002:"
_SCALARS = frozenset(_YAML + name for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value"))

_NOTHING: Mapping[Path, bytes] = MappingProxyType({})

type Tree = str | None | list[Tree] | dict[str, Tree]
type Place = tuple[str | int, ...]


class Secret(str):
    """A value from `secrets.yaml`. It is used as any text and shown as none."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Never the value."""
        return "'<secret>'"


@dataclass(slots=True)
class Document:
    """What a file says, and on which line it says it."""

    file: Path
    tree: Tree = None
    lines: dict[Place, int] = field(default_factory=dict)
    """Where each value stands: the line of a scalar, of a mapping's key, of a list's item."""
    keys: dict[Place, int] = field(default_factory=dict)
    """Where each key stands."""
    unresolved: set[Place] = field(default_factory=set)
    """Where a secret should stand that could not be found; it has been complained about."""
    problems: list[Problem] = field(default_factory=list)

    def problem(self, line: int, message: str, place: Place = ()) -> None:
        """Note something that is wrong."""
        self.problems.append(Problem(self.file, line, message, place))

    def line(self, path: Place) -> int:
        """Find the line of a value, or of the nearest thing around it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(file: Path, instead: Mapping[Path, bytes] = _NOTHING) -> Document:
    """Read a file. Raises ConfigError when it cannot be read at all; all else is in the document's problems.

    `instead` says what stands in a file, whatever stands in it on the disk.
    """
    document = Document(file)
    root = compose(file, instead)
    builder = _Builder(document, instead)
    if root is not None:
        document.tree = builder.build(root, (), frozenset())
    return document


def compose(file: Path, instead: Mapping[Path, bytes] = _NOTHING) -> Node | None:
    """Read the file's nodes. Raises ConfigError when it is missing, unreadable or no YAML."""
    try:
        raw = instead[file] if file in instead else file.read_bytes()
    except FileNotFoundError:
        raise ConfigError([Problem(file, 0, "there is no such file")]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(file, 0, f"cannot be read: {reason}")]) from error
    if len(raw) > LARGEST:
        raise ConfigError([Problem(file, 0, f"is {len(raw)} bytes long; at most {LARGEST} are permitted")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([Problem(file, line, message)]) from error
    try:
        node: Node | None = YAML().compose(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{ord(text[error.position]):04X} is not permitted in YAML"
        raise ConfigError([Problem(file, line, message)]) from error
    except RecursionError as error:
        raise ConfigError([Problem(file, 0, "is nested too deeply")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError([Problem(file, 0 if mark is None else mark.line + 1, _syntax(error))]) from error
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        # The parser has its own faults with input nobody writes; a person is told the same.
        raise ConfigError([Problem(file, 0, f"is not valid YAML: {error}")]) from error
    return node


def _syntax(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "it cannot be understood")
    if "'\\t'" in problem:
        return "a tab stands here; indent with spaces"
    if "mapping values are not allowed here" in problem:
        return "a colon or an indentation is wrong here; write `key: value`, and quote texts that contain `: `"
    if "undefined alias" in problem:
        return f"{problem}; quote the text if it begins with *"
    return f"is not valid YAML here: {problem}"


class _Builder:
    """Turns nodes into a tree and notes what is wrong with them."""

    def __init__(self, document: Document, instead: Mapping[Path, bytes]) -> None:
        self._document = document
        self._instead = instead
        self._secrets: dict[str, str] | None = None
        self._nodes = 0

    def build(self, node: Node, path: Place, around: frozenset[int]) -> Tree:
        self._nodes += 1
        line = node.start_mark.line + 1
        if isinstance(node, ScalarNode):
            if node.value:  # nothing at all stands where the next thing begins
                self._document.lines[path] = line
            return self._scalar(node, path, line)
        self._document.lines.setdefault(path, line)
        if id(node) in around:
            self._document.problem(line, "an alias stands for what it is part of")
            return None
        if len(around) > DEEPEST or self._nodes > MOST_NODES:
            self._too_much(line)
            return None
        around |= {id(node)}
        if str(node.tag) not in (f"{_YAML}map", f"{_YAML}seq"):
            self._document.problem(line, f"the tag {_tag(node)} is unknown; permitted: !secret")
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index), around) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._mapping(node, path, around)

    def _too_much(self, line: int) -> None:
        problem = Problem(self._document.file, line, "too much is nested here, or repeated by aliases")
        if problem not in self._document.problems:
            self._document.problems.append(problem)

    def _mapping(self, node: MappingNode, path: Place, around: frozenset[int]) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._document.problem(line, "a key must be a word")
                continue
            key = str(key_node.value)
            if str(key_node.tag) == f"{_YAML}merge":
                self._document.problem(line, "`<<` is not permitted; write the keys out")
                continue
            if key in tree:
                first = self._document.keys[*path, key]
                self._document.problem(line, f"the key {key} stands here for the second time; first in line {first}")
                continue
            self._document.keys[*path, key] = line
            self._document.lines[*path, key] = line
            tree[key] = self.build(value_node, (*path, key), around)
        return tree

    def _scalar(self, node: ScalarNode, path: Place, line: int) -> str | None:
        tag = str(node.tag)
        if tag == "!secret":
            return self._secret(str(node.value).strip(), path, line)
        if tag not in _SCALARS:
            self._document.problem(line, f"the tag {_tag(node)} is unknown; permitted: !secret")
        return None if tag == f"{_YAML}null" else str(node.value)

    def _secret(self, name: str, path: Place, line: int) -> Secret:
        if self._secrets is None:
            self._secrets = self._load_secrets(line)
        if name not in self._secrets:
            file = self._document.file.with_name(SECRETS)
            if file in self._instead or file.exists():
                self._document.problem(line, f"there is no secret {name or 'without a name'} in {SECRETS}")
            self._document.unresolved.add(path)
            return Secret()
        return Secret(self._secrets[name])

    def _load_secrets(self, line: int) -> dict[str, str]:
        file = self._document.file.with_name(SECRETS)
        if file == self._document.file:
            self._document.problem(line, f"{SECRETS} cannot take a secret from itself")
            return {}
        if file not in self._instead and not file.exists():
            self._document.problem(line, f"!secret needs a file {SECRETS} beside this one")
            return {}
        if file not in self._instead and file.stat().st_mode & stat.S_IROTH:
            _LOGGER.warning("Everyone on this machine can read %s; make it private: chmod 600", file)
        try:
            root = compose(file, self._instead)
        except ConfigError as error:
            self._document.problems.extend(error.problems)
            return {}
        return self._secrets_of(file, root)

    def _secrets_of(self, file: Path, root: Node | None) -> dict[str, str]:
        found: dict[str, str] = {}
        inside = Document(file)
        if isinstance(root, MappingNode):
            for key_node, value_node in root.value:
                line, name = key_node.start_mark.line + 1, str(key_node.value)
                if not isinstance(key_node, ScalarNode) or not isinstance(value_node, ScalarNode):
                    inside.problem(line, "a secret is `name: value` on one line")
                elif name in found:
                    inside.problem(line, f"the secret {name} stands here for the second time")
                elif str(value_node.tag) not in _SCALARS - {f"{_YAML}null"}:
                    inside.problem(line, f"the secret {name} has no value")
                else:
                    found[name] = str(value_node.value)
        elif root is not None:
            inside.problem(root.start_mark.line + 1, "must consist of `name: value` lines")
        self._document.problems.extend(inside.problems)
        return found


def _tag(node: Node) -> str:
    return str(node.tag).replace(_YAML, "!!")
