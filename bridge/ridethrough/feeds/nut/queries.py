"""What clients ask without logging in: GET and LIST, as upsd answers them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ridethrough.catalogue import Catalogue
from ridethrough.site import Device

from .ups import Upses
from .wire import VALUE_LIMIT, Error, Refusal, quote, word

COMPATIBLE = "2.8.0"
"""The upsd that we answer like; some clients take the fifth word of VER for its version."""
UNDESCRIBED = "Description unavailable"


class Queries:
    """Answers with lines without their ends."""

    def __init__(
        self, upses: Upses, catalogue: Catalogue, version: str, logins: Callable[[str], Iterable[str]]
    ) -> None:
        """`logins` gives the addresses of those logged in to a UPS; `version` is the bridge's."""
        self._upses = upses
        self._catalogue = catalogue
        self._logins = logins
        self.server = f"Network UPS Tools upsd {COMPATIBLE} compatible - Ridethrough {version}"
        self._servers = {"server.info": self.server, "server.version": COMPATIBLE}
        # What may be got and listed: how many words must follow, and what answers them.
        self._gets: Mapping[str, tuple[int, Callable[..., str]]] = {
            "NUMLOGINS": (1, self._numlogins),
            "UPSDESC": (1, self._upsdesc),
            "VAR": (2, self._var),
            "TYPE": (2, self._type),
            "DESC": (2, self._desc),
            "CMDDESC": (2, self._cmddesc),
        }
        self._lists: Mapping[str, tuple[int, Callable[..., Iterable[str]]]] = {
            "UPS": (0, self._list_ups),
            "VAR": (1, self._list_var),
            "RW": (1, self._list_rw),
            "CMD": (1, self._list_cmd),
            "CLIENT": (1, self._list_client),
            "ENUM": (2, self._list_none),
            "RANGE": (2, self._list_none),
        }

    def get(self, words: Sequence[str]) -> list[str]:
        """Answer GET with one line. Raises Refusal."""
        answer, arguments = _row(self._gets, words)
        return [answer(*arguments)]

    def list(self, words: Sequence[str]) -> list[str]:
        """Answer LIST with a line before and one behind the rows. Raises Refusal."""
        answer, arguments = _row(self._lists, words)
        rows = answer(*arguments)
        query = " ".join((words[0].upper(), *map(word, arguments)))
        return [f"BEGIN LIST {query}", *rows, f"END LIST {query}"]

    # GET

    def _numlogins(self, name: str) -> str:
        # Also while the UPS cannot be reached: a primary that shuts down waits for those who are logged in.
        return f"NUMLOGINS {word(name)} {len(list(self._logins(self._upses.find(name).key)))}"

    def _upsdesc(self, name: str) -> str:
        return f"UPSDESC {word(name)} {quote(self._upses.find(name).name)}"

    def _var(self, name: str, variable: str) -> str:
        text = self._servers.get(variable.lower())
        if text is None:
            text = self._upses.variable(self._upses.find(name), variable).text
        return f"VAR {word(name)} {word(variable)} {quote(text)}"

    def _type(self, name: str, variable: str) -> str:
        number = self._upses.variable(self._upses.find(name), variable).number
        return f"TYPE {word(name)} {word(variable)} {'NUMBER' if number else f'STRING:{VALUE_LIMIT}'}"

    def _desc(self, name: str, variable: str) -> str:
        device = self._upses.find(name)
        try:
            text = self._upses.variable(device, variable).name
        except Refusal as refusal:
            if refusal.error is not Error.VAR_NOT_SUPPORTED:
                raise
            point = self._catalogue.point(device.kind, variable)
            text = "" if point is None else point.name
        return f"DESC {word(name)} {word(variable)} {quote(text or UNDESCRIBED)}"

    def _cmddesc(self, name: str, command: str) -> str:
        found = {one.name: one for one in self._upses.commands(self._upses.find(name))}.get(command.lower())
        text = UNDESCRIBED if found is None else _described(found.device, found.command.name)
        return f"CMDDESC {word(name)} {word(command)} {quote(text)}"

    # LIST

    def _list_ups(self) -> Iterable[str]:
        return [f"UPS {word(device.key)} {quote(device.name)}" for device in self._upses]

    def _list_var(self, name: str) -> Iterable[str]:
        variables = self._upses.variables(self._upses.find(name))
        return [f"VAR {word(name)} {key} {quote(variable.text)}" for key, variable in variables.items()]

    def _list_rw(self, name: str) -> Iterable[str]:
        """List no variable: what can be set of a UPS is set by commands and their arguments."""
        self._upses.status(self._upses.find(name))
        return ()

    def _list_cmd(self, name: str) -> Iterable[str]:
        return [f"CMD {word(name)} {one.name}" for one in self._upses.commands(self._upses.find(name))]

    def _list_client(self, name: str) -> Iterable[str]:
        key = self._upses.find(name).key
        return [f"CLIENT {word(name)} {address}" for address in self._logins(key)]

    def _list_none(self, name: str, variable: str) -> Iterable[str]:
        """List what a variable may be set to: nothing."""
        self._upses.variable(self._upses.find(name), variable)
        return ()


def _row[Answer](table: Mapping[str, tuple[int, Answer]], words: Sequence[str]) -> tuple[Answer, Sequence[str]]:
    found = table.get(words[0].upper()) if words else None
    if found is None or len(words) - 1 < found[0]:
        raise Refusal(Error.INVALID_ARGUMENT)
    count, answer = found
    return answer, words[1 : 1 + count]


def _described(device: Device, name: str) -> str:
    return f"{name} ({device.name})" if device.kind == "outlet" else name


__all__ = ["COMPATIBLE", "Queries"]
