"""`python -m ridethrough.sim`: a simulated UPS without the rest of the bridge."""

from argparse import ArgumentParser
import asyncio
import signal
import sys

from . import ScenarioError, SimulateOptions, add_arguments, options_from, simulate


async def _until_told(options: SimulateOptions) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await simulate(options)


def main() -> int:
    """Parse the arguments and simulate until SIGINT or SIGTERM; the exit status."""
    parser = ArgumentParser(prog="python -m ridethrough.sim", description=__doc__)
    add_arguments(parser)
    options = options_from(parser.parse_args())
    try:
        asyncio.run(_until_told(options))
    except KeyboardInterrupt, asyncio.CancelledError:
        return 0
    except (ScenarioError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
