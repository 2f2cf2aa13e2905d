"""SETs: checked at once, carried out in their own time, and answered once however often they are sent again."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from ridethrough.catalogue import Catalogue
from ridethrough.events.orders import Order, Orders as Commands
from ridethrough.feeds.base import Client
from ridethrough.site import CommandError

from .dispatcher import Dispatcher, Question
from .orders import Accepted, Given, Refused, Way
from .pdu import Kind, Status, response
from .tree import Tree
from .usm import WINDOW

PATIENCE = 1.5
"""Seconds that an answer waits for a command to end. Clients ask again soon, and take silence for a refusal; a command
that has not been refused by then goes on, and the objects of its device show what comes of it."""
REPEATED = 30.0
"""Seconds for which a SET that comes again is the same and not another one."""
MOST = 64
"""SETs that are remembered, and trees that are waited for, at once."""
REPLAYED = 2 * WINDOW
"""Seconds for which a recorded message of SNMPv3 is believed, at most: it may have come from a clock that is ahead."""
MOST_PROOFS = 4096
"""Digests of SETs that are remembered; only those who have a password can add to them."""

_REFUSED = {
    # What a command ends with, and what that is in SNMP.
    "bad_argument": Status.WRONG_VALUE,
    "not_granted": Status.NOT_WRITABLE,
    "unknown_command": Status.NOT_WRITABLE,
    "unknown_device": Status.NOT_WRITABLE,
    "forbidden": Status.NO_ACCESS,
    "offline": Status.RESOURCE_UNAVAILABLE,
}

type Address = tuple[str, int]


class Writing:
    """Answers what takes its time."""

    def __init__(
        self,
        commands: Commands,
        catalogue: Catalogue,
        allow: frozenset[str],
        send: Callable[[bytes, Address], None],
    ) -> None:
        """`allow` are the groups of commands that may be given by SNMP."""
        self._commands = commands
        self._catalogue = catalogue
        self._allow = allow
        self._send = send
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: OrderedDict[object, tuple[float, bytes | None]] = OrderedDict()
        self._proofs: OrderedDict[bytes, float] = OrderedDict()
        """When SETs with a proof have come: the same one again is a recording that somebody plays (RFC 3414 §1.2)."""
        self.dispatcher: Dispatcher | None = None

    def begin(self, question: Question, address: Address) -> None:
        """Answer a question in its own time."""
        if len(self._tasks) >= MOST:
            return
        task = asyncio.create_task(self._answer(question, address), name="SNMP request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Answer nothing more; commands that are under way go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, question: Question, address: Address) -> None:
        dispatcher = self.dispatcher
        assert dispatcher is not None
        await question.view.complete()
        if question.pdu.kind != Kind.SET:
            self._close(question, dispatcher.answer(question) or b"", address)
            return
        now = asyncio.get_running_loop().time()
        while self._known and next(iter(self._known.values()))[0] < now - REPEATED:
            self._known.popitem(last=False)
        same = (address, question.asker.name, question.version, question.pdu.request_id, question.pdu.raw)
        if same in self._known:
            # It is under way, or has been answered: the answer may have been lost.
            _, answer = self._known[same]
            if answer is not None:
                self._close(question, answer, address)
            return
        if self._is_replayed(question.proof, now):
            dispatcher.close(question, b"")
            return
        tree = question.view.own
        weighed = Refused(Status.NO_CREATION, 1) if tree is None else self._weigh(question, tree)
        if isinstance(weighed, Refused):
            self._close(question, dispatcher.refuse(question, weighed.status, weighed.index), address)
            return
        if len(self._known) >= MOST:
            self._known.popitem(last=False)
        self._known[same] = now, None
        assert tree is not None
        refused = await self._carry_out(question, tree, weighed)
        pdu = question.pdu
        if refused is None:
            answer = response(pdu.request_id, (pdu.raw,))
        else:
            answer = dispatcher.refuse(question, refused, len(pdu.variables))
        if same in self._known:
            self._known[same] = now, answer
        self._close(question, answer, address)

    def _is_replayed(self, proof: bytes, now: float) -> bool:
        """Whether this very message has come before; it is remembered."""
        while self._proofs and next(iter(self._proofs.values())) < now - REPLAYED:
            self._proofs.popitem(last=False)
        if not proof or proof in self._proofs:
            return bool(proof)
        if len(self._proofs) >= MOST_PROOFS:
            self._proofs.popitem(last=False)
        self._proofs[proof] = now
        return False

    def _close(self, question: Question, answer: bytes, address: Address) -> None:
        assert self.dispatcher is not None
        message = self.dispatcher.close(question, answer)
        if message is not None:
            self._send(message, address)

    def _weigh(self, question: Question, tree: Tree) -> Accepted | Refused:
        return tree.orders.weigh(
            question.pdu.variables,
            question.view.instances.__contains__,
            lambda way: self._against(question, tree, way),
        )

    async def _carry_out(self, question: Question, tree: Tree, accepted: Accepted) -> Status | None:
        tree.orders.take(question.pdu.variables, accepted)
        tree.refresh(one.name for one in question.pdu.variables)
        if accepted.given is None:
            return None
        giving = asyncio.ensure_future(self._give(question, tree, accepted.given))
        # A command that is under way is not given up when nobody waits for it any more.
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(giving), PATIENCE)
        return None

    async def _give(self, question: Question, tree: Tree, given: Given) -> Status | None:
        device = tree.subject.part(given.way.part)
        if device is None:
            return Status.RESOURCE_UNAVAILABLE
        try:
            await self._commands.give(Order(device.id, given.way.command, given.arguments), Client(question.asker.name))
        except CommandError as error:
            return _REFUSED.get(error.code, Status.COMMIT_FAILED)
        return None

    def _against(self, question: Question, tree: Tree, way: Way) -> Status | None:
        """Say what speaks against a command; None for nothing."""
        if not question.asker.write or way.group not in self._allow:
            return Status.NO_ACCESS
        device = tree.subject.part(way.part)
        return None if device is not None and way.command in device.commands else Status.NOT_WRITABLE


__all__ = ["MOST", "PATIENCE", "Address", "Writing"]
