"""What it means when an agent refuses a command, in sentences."""

from collections.abc import Mapping

from ridethrough.site import CommandError

from .frames import Result

REFUSALS: Mapping[str, tuple[str, str]] = {
    "old": ("refused", "{name} takes the command for an old one: its clock runs otherwise than the bridge's"),
    "repeated": ("refused", "{name} takes the command for a repeated one"),
    "unknown_verb": ("unknown_command", "The agent of {name} does not know this command; it may be an older one"),
    "bad_argument": ("bad_argument", "The agent of {name} can do nothing with what it was given"),
    "unknown_program": ("refused", "The agent of {name} has no program of this name in its configuration"),
    "refused": ("refused", "{name} refuses the command"),
    "busy": ("refused", "{name} is still busy"),
}
"""By the agent's code: the code for the giver of the command, and what it means."""


def refusal(name: str, result: Result) -> CommandError:
    """Word the refusal of the computer called `name`; what its agent says stands at the end."""
    code, sentence = REFUSALS.get(result.code, REFUSALS["refused"])
    told = sentence.format(name=name)
    return CommandError(code, f"{told}: {result.message}" if result.message else f"{told}.")


__all__ = ["REFUSALS", "refusal"]
