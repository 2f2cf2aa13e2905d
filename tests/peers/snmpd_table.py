"""A table that Debian's snmpd serves by pass_persist. The daemon runs it: `python snmpd_table.py FOLDER`.

FOLDER/table.json    {"1.3.6.1.2.1.33.1.2.1.0": ["integer", "2"], …}; read again whenever it is another file
FOLDER/manner.json   {"delay": seconds before each answer, "writable": prefixes that can be SET, "ignore": prefixes
                     whose SETs are taken and forgotten}
FOLDER/orders.txt    one line for each SET that was taken: OID, type, value

Standard library only, as it is started on its own.
"""

from bisect import bisect_right
import json
from pathlib import Path
import sys
import time

type Oid = tuple[int, ...]


def oid(text: str) -> Oid:
    """Take a dotted name apart."""
    return tuple(int(part) for part in text.strip(".").split("."))


def dotted(name: Oid) -> str:
    """Put a name together as snmpd wants it."""
    return "." + ".".join(map(str, name))


class Table:
    """The rows of a folder."""

    def __init__(self, folder: Path) -> None:
        """Serve what lies in `folder`."""
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._rows: dict[Oid, tuple[str, str]] = {}
        self._order: list[Oid] = []

    def look(self) -> dict[str, object]:
        """Read what has changed, and wait as long as is wanted; returns the manner."""
        path = self._folder / "table.json"
        status = path.stat()
        if self._seen != (status.st_ino, status.st_mtime_ns):
            self._seen = (status.st_ino, status.st_mtime_ns)
            rows = json.loads(path.read_text())
            self._rows = {oid(name): (kind, value) for name, (kind, value) in rows.items()}
            self._order = sorted(self._rows)
        manner: dict[str, object] = json.loads((self._folder / "manner.json").read_text())
        time.sleep(float(str(manner["delay"])))
        return manner

    def get(self, name: Oid) -> list[str]:
        """Answer `get`."""
        if name not in self._rows:
            return ["NONE"]
        return [dotted(name), *self._rows[name]]

    def following(self, name: Oid) -> list[str]:
        """Answer `getnext`."""
        place = bisect_right(self._order, name)
        return ["NONE"] if place == len(self._order) else self.get(self._order[place])

    def set(self, name: Oid, kind: str, value: str, manner: dict[str, object]) -> list[str]:
        """Answer `set`."""
        writable, ignored = (
            any(dotted(name).startswith(f".{prefix}.") for prefix in str(manner[word]).split())
            for word in ("writable", "ignore")
        )
        if not writable and not ignored:
            return ["not-writable"]
        if name in self._rows and self._rows[name][0] != kind:
            return ["wrong-type"]
        with (self._folder / "orders.txt").open("a") as orders:
            orders.write(f"{dotted(name).strip('.')} {kind} {value}\n")
        if not ignored:
            if name not in self._rows:
                self._order = sorted([*self._order, name])
            self._rows[name] = kind, value
        return ["DONE"]


def main() -> None:
    """Answer until the daemon closes the line."""
    table = Table(Path(sys.argv[1]))
    while line := sys.stdin.readline():
        answer, request = ["PONG"], line.strip()
        if not request:
            continue  # the daemon ends a SET with an empty line
        if request != "PING":
            name, manner = oid(sys.stdin.readline()), table.look()
            match request:
                case "get":
                    answer = table.get(name)
                case "getnext":
                    answer = table.following(name)
                case "set":
                    kind, _, value = sys.stdin.readline().strip().partition(" ")
                    answer = table.set(name, kind, value.strip('"'), manner)
        sys.stdout.write("\n".join(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
