"""What `crossin score` says of the causes: noise floor, reasons of disagreement, questions to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from crossin_metrics.runs.repeats import asked_as, disagreement_scores, floor_of, repeats, suspects_of
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.causes.disagreements import REASONS
from crossin_metrics.scores.causes.suspect_questions import Suspect
from crossin_metrics.scores.uncertainty import ROUGH_CAUSES, ROUGH_SAID, Replicates, score_intervals
from crossin_metrics.text_tables import align, number

_MOST_PAIRS = 10  # language pairs listed without --full
_FEW_MODELS = 2  # asked again, whose noise floor is shown in detail
_FLOOR = ("asked_again", "asked_across", "language_ratio", "language_ratio_kappa")
_FLOOR_LEGEND = (
    "again, across: share with the same answer to another prompt, in the same and in another language; ratio: across\n"
    "to again, 1 if languages differ no more than prompts do; kappa: the same beyond chance, 0 if they share nothing"
)


class AskedAgain:
    """The models among some runs that were asked the same rows again.

    Attributes:
        groups: `task|model|mode|variant` -> its runs, two or more.
        floors: the same names -> the noise floor.
    """

    def __init__(self, runs: Sequence[Run], n_resamples: int, seed: int) -> None:
        self.groups = repeats(runs)
        self.floors = {
            name: floor_of(found, n_resamples=n_resamples or 2, seed=seed) for name, found in self.groups.items()
        }
        if not n_resamples:  # no intervals
            self.floors = {name: replace(found, values={}) for name, found in self.floors.items()}

    def _name(self, run: Run) -> str | None:
        return next((name for name, runs in self.groups.items() if any(one is run for one in runs)), None)

    def floor(self, run: Run) -> Replicates | None:
        """The noise floor of a run's model; None where it was asked once."""
        return self.floors.get(self._name(run) or "")

    def disagreements(self, run: Run) -> dict[str, float]:
        """The run's :func:`disagreement_scores`, by the evidence of its repeats."""
        return disagreement_scores(run, self.groups.get(self._name(run) or "", ()))

    def text(self, *, full: bool) -> str:
        """Of few models in detail, with the reasons of disagreement; of many one row each."""
        rough = any(found.values and found.n_questions < ROUGH_CAUSES for found in self.floors.values())
        legend = _FLOOR_LEGEND + (f"\n~ {ROUGH_SAID}" if rough else "")
        if len(self.groups) > _FEW_MODELS and not full:
            return f"{_floor_table(self.floors, self.groups)}\n{legend}"
        blocks = []
        for name, found in self.floors.items():
            first, codes = self.groups[name][0], self.groups[name][0].languages
            blocks.append(_floor_details(name, found, [asked_as(run) for run in self.groups[name]], codes))
            if not full and len(codes) > 1:  # in full they are beside each run's scores
                blocks.append(reason_table(codes, self.disagreements(first), full=full, of=f"{asked_as(first)}, "))
        return "\n\n".join([*blocks, legend])


def suspect_text(runs: Sequence[Run], *, as_json: bool) -> str:
    """Questions that most models fail in one language only, as a table or as JSON."""
    found = suspects_of(runs)
    if not as_json:
        return _suspect_tables(found)
    listed = {
        task: [{**asdict(one), "question": name, "language": of[0].languages[one.language]} for name, one in suspects]
        for task, (of, suspects) in found.items()
    }
    return json.dumps(listed, indent=1, ensure_ascii=False, allow_nan=False)


def _floor_table(floors: Mapping[str, Replicates], groups: Mapping[str, Sequence[Run]]) -> str:
    """One row for each model that was asked again."""
    rows = [["asked again", "prompts", "again", "across", "ratio", "95%", "ratio (kappa)", "95%"]]
    for name, found in floors.items():
        rows.append([name, str(len(groups[name])), *_values(found, "")])
    return align(rows)


def _floor_details(name: str, found: Replicates, prompts: Sequence[str], languages: Sequence[str]) -> str:
    """The floor of one model: all languages, each language, each pair."""
    rows = [["", "again", "across", "ratio", "95%", "ratio (kappa)", "95%"], ["all", *_values(found, "")]]
    rows += [[code, number(found.estimate[f"asked_again_{code}"])] for code in languages]
    pairs = [f"{a}_{b}" for i, a in enumerate(languages) for b in languages[i + 1 :]]
    rows += [[pair.replace("_", " "), *_values(found, f"_{pair}")] for pair in pairs[:_MOST_PAIRS]]
    return f"asked again ({', '.join(prompts)}): {name}\n{align(rows)}"


def _values(found: Replicates, suffix: str) -> list[str]:
    ends = score_intervals(found)
    cells = []
    for key in _FLOOR:
        key += suffix
        cells.append(number(found.estimate.get(key)) if not key.startswith("asked_again_") else "")
        if key.startswith("language_ratio"):
            rough = " ~" if found.n_questions < ROUGH_CAUSES else ""
            cells.append(f"[{number(ends[key][0], 3)}, {number(ends[key][1], 3)}]{rough}" if key in ends else "-")
    return cells


def reason_table(languages: Sequence[str], scores: Mapping[str, float], *, full: bool, of: str = "") -> str:
    """Why languages disagree: the share of the questions for each reason, of each pair or of those that differ most."""
    pairs = [f"{a}_{b}" for i, a in enumerate(languages) for b in languages[i + 1 :]]
    shown = [reason for reason in REASONS if scores[f"disagree_{reason}"] > 0.0]
    rows = [["pair", "disagree", *shown], ["all", number(scores["disagree"])]]
    rows[1] += [number(scores[f"disagree_{reason}"]) for reason in shown]
    listed = []
    for pair in pairs:
        values = [scores[f"disagree_{reason}_{pair}"] for reason in REASONS]
        cells = [number(value) for value, reason in zip(values, REASONS, strict=True) if reason in shown]
        listed.append((-sum(values), [pair.replace("_", " "), number(sum(values)), *cells]))
    listed.sort(key=lambda one: one[0])
    rows += [row for _, row in (listed if full else listed[:_MOST_PAIRS])]
    left = "" if full or len(pairs) <= _MOST_PAIRS else f"\n(all {len(pairs)} pairs: --full)"
    return f"why languages disagree ({of}share of the questions)\n{align(rows)}{left}"


def _suspect_tables(found: Mapping[str, tuple[Sequence[Run], Sequence[tuple[str, Suspect]]]]) -> str:
    blocks = []
    for task, (runs, suspects) in found.items():
        said = f"{task}: {len(suspects)} of {len(runs[0].ids)} questions to look at, asked of {len(runs)} models"
        rows = [["id", "language", "wrong", "right elsewhere", "gold", "most give", "p (FDR)"]]
        gold = dict(zip(runs[0].ids, runs[0].gold.tolist(), strict=True))
        for name, one in suspects:
            answer = "-" if one.answer < 0 else f"{one.answer} ({one.same})"
            cells = [str(one.wrong), str(one.models), str(gold[name]), answer, f"{one.p_value:.2g}"]
            rows.append([name, runs[0].languages[one.language], *cells])
        blocks.append("\n".join([said, *([align(rows, left=2)] if suspects else [])]))
    legend = (
        "right elsewhere: models right in most other languages; wrong: those of them that fail in this one. Often a\n"
        "defect of the translation; options are counted from 0. 5% false discoveries (Benjamini-Hochberg)"
    )
    return "\n\n".join([*blocks, legend])
