"""What a drill has shown: as Markdown for people, as JSON for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from .drill import Drill
from .timing import Fit

_WORDS: Mapping[str, str] = {
    "passed": "Passed: everyone would have obeyed, in time.",
    "failed": "Failed: somebody would not have obeyed, or the battery does not last so long; see below.",
    "aborted": "Aborted",
}


@dataclass(frozen=True, slots=True)
class DrillReport:
    """A finished drill in two forms."""

    markdown: str
    json: bytes


def report(drill: Drill, fit: Fit, runtime: float | None, begun: datetime) -> DrillReport:
    """Write the report of a drill that has ended; `begun`: what the wall clock showed then."""
    found = _content(drill, fit, runtime, begun)
    return DrillReport(_markdown(found), orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _content(drill: Drill, fit: Fit, runtime: float | None, begun: datetime) -> dict[str, Any]:
    end = drill.began if drill.ended is None else drill.ended
    return {
        "plan": drill.plan.key,
        "name": drill.plan.name,
        "by": drill.actor,
        "begun": begun.isoformat(),
        "ended": (begun + timedelta(seconds=end - drill.began)).isoformat(),
        "verdict": drill.verdict,
        "reason": drill.reason,
        "needed": fit.needed,
        "runtime": None if runtime is None else round(runtime, 1),
        "margin": None if fit.margin is None else round(fit.margin, 1),
        "problems": list(fit.problems),
        "stages": [
            {
                "stage": key,
                "name": stage.stage.name,
                "after": list(stage.stage.after),
                "planned": stage.planned,
                "begun": _since(drill, stage.begun),
                "actual": None if stage.ended is None or stage.begun is None else round(stage.ended - stage.begun, 1),
                "ok": stage.ok,
                "notes": stage.notes,
                "members": [
                    {
                        "member": one.member.id,
                        "planned": one.planned,
                        "actual": None
                        if one.answered is None or one.asked is None
                        else round(one.answered - one.asked, 1),
                        "ok": one.ok,
                        "answer": one.answer,
                    }
                    for one in stage.members
                ],
            }
            for key, stage in drill.stages.items()
        ],
    }


def _since(drill: Drill, moment: float | None) -> float | None:
    return None if moment is None else round(moment - drill.began, 1)


def _markdown(found: Mapping[str, Any]) -> str:
    verdict = _WORDS[found["verdict"]] + (f": {found['reason']}." if found["verdict"] == "aborted" else "")
    lines = [
        f"# Drill of {_cell(found['name'])}",
        "",
        f"**{_cell(verdict)}**",
        "",
        (
            f"Begun {found['begun']} by {_cell(found['by'])}, ended {found['ended']}. Nothing was shut down or switched: "
            "agents told what they would do."
        ),
        "",
        f"- Time needed in earnest, at most: {_seconds(found['needed'])}",
        f"- Runtime at the present load: {_seconds(found['runtime'])}",
        f"- Margin to the end of the battery: {_seconds(found['margin'])}",
        *(f"- {_cell(problem)}" for problem in found["problems"]),
        "",
    ]
    for stage in found["stages"]:
        lines += [
            f"## {_cell(stage['name'])}",
            "",
            (
                f"Begun after {_seconds(stage['begun'])}; planned {_seconds(stage['planned'])}, "
                f"answered within {_seconds(stage['actual'])}."
            ),
            "",
            *(f"- {_cell(note)}" for note in stage["notes"]),
            *([""] if stage["notes"] else []),
        ]
        if stage["members"]:
            lines += ["| member | planned | answered within | result | answer |", "|---|---|---|---|---|"]
        lines += [
            f"| {_cell(one['member'])} | {_seconds(one['planned'])} | {_seconds(one['actual'])} "
            f"| {'ok' if one['ok'] else 'not ok'} | {_cell(one['answer'])} |"
            for one in stage["members"]
        ]
        lines.append("")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    if value is None:
        return "not known"
    minutes, seconds = divmod(value, 60.0)
    return f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.3g} s"


def _cell(text: str) -> str:
    """Take what would end a cell, or be read as Markdown or HTML, out of what agents and people say."""
    for character in "\\`*_[]|<>":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


__all__ = ["DrillReport", "report"]
