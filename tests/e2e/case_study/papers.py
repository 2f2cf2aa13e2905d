"""Pairs the twelve computers with the bridge as people do it: by an invitation on one side and its code on the other.

What `ridethrough agent invite` and the agent's `pair` do is done here in one process: twenty-four programs that start
and end would take longer than the story.
"""

from argparse import Namespace
import asyncio
from pathlib import Path
import re

from ridethrough.agents import commandline
from ridethrough.assembly.service import store_of
from ridethrough.catalogue import Role
from ridethrough.clock import SystemClock
from ridethrough.config import BridgeConfig
from ridethrough.config.file import ConfigFile
from ridethrough.links import check_link, check_links
from ridethrough.store import Store
from ridethrough_agent import cli as agent_cli

from . import configuration
from .computers import COMPUTERS

_CODE = re.compile(r"[A-Z2-7]{4}(?:-[A-Z2-7]{4}){5}")


async def pair_all(folder: Path, network: str) -> Path:
    """Leave in `folder` what the bridge keeps, what each agent keeps, and the token of an administrator."""
    config = _written(folder, network)
    host = config.agents.listen
    async with Store.open(store_of(config), SystemClock()) as store:
        for model in COMPUTERS:
            home = folder / model.key
            codes: asyncio.Queue[str] = asyncio.Queue()

            def say(text: str, codes: asyncio.Queue[str] = codes) -> None:
                if found := _CODE.search(text):
                    codes.put_nowait(found[0])

            invitation = asyncio.create_task(
                commandline.work(Namespace(action="invite", id=model.key), config, store, SystemClock(), say)
            )
            code = await asyncio.wait_for(codes.get(), 30)
            own = ["--config", str(home / "agent.ini"), "pair", host, code]
            assert await asyncio.to_thread(agent_cli.main, own) == 0, f"{model.key} could not be paired"
            await asyncio.wait_for(invitation, 30)
        (folder / "token").write_text(await store.tokens.create("rig", Role.ADMIN))
    return folder


def _written(folder: Path, network: str) -> BridgeConfig:
    """Write the configurations of both sides, and read the bridge's."""
    folder.mkdir(parents=True, exist_ok=True)
    for model in COMPUTERS:
        home = folder / model.key
        home.mkdir()
        (home / "agent.ini").write_text(configuration.agent(model, home, network, folder / "off.sh"))
    file = folder / "ridethrough.yaml"
    file.write_text(configuration.bridge("jobs", folder, network, folder / "ttyUPS", 1))
    return ConfigFile(file, check_link, check_links).load()


__all__ = ["pair_all"]
