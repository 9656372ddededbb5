"""The committed results of the mini study: its documented command makes them again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crossin_metrics.runs.repeats import floor_of
from crossin_metrics.runs.run import Run, read_predictions
from crossin_metrics.runs.signature import signature_of
from crossin_metrics.scores.uncertainty import score_intervals
from tests.helpers.cli import crossin

MINI = Path("recipes/results/mini")
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def test_the_documented_command_makes_the_committed_tables_again(repo: Path, tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```bash\ncrossin (report .*?)```", (repo / MINI / "README.md").read_text("utf-8"), re.DOTALL
    )
    arguments = shlex.split(block.replace("\\\n", " "))
    arguments[arguments.index("--out") + 1] = str(tmp_path / "report")
    done = crossin(*arguments, "--no-plots", cwd=repo)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("arms.md", "arms.csv", "comparisons.csv", "efficiency.csv"):
        made, kept = ((folder / name).read_text("utf-8") for folder in (tmp_path / "report", repo / MINI))
        assert NUMBER.sub("", made) == NUMBER.sub("", kept), name
        # The last digits of intervals and small p values depend on scipy's version.
        assert [*map(float, NUMBER.findall(made))] == pytest.approx([*map(float, NUMBER.findall(kept))], rel=1e-6), name


@pytest.mark.parametrize("study", ["known", "invented"])
def test_the_tables_of_facts_are_made_by_their_commands(repo: Path, tmp_path: Path, study: str) -> None:
    readme = (repo / "recipes/results/facts/README.md").read_text("utf-8")
    (section,) = (part for part in readme.split("\n## ") if f"{study}_predictions.csv.gz --labels" in part)
    (block,) = re.findall(r"```bash\ncrossin (report .*?)```", section, re.DOTALL)
    arguments = shlex.split(block.replace("\\\n", " "))
    arguments[arguments.index("--out") + 1] = str(tmp_path / "report")
    done = crossin(*arguments, "--no-plots", cwd=repo)
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert len(said) == len(set(said)), "a warning is repeated"
    made = (tmp_path / "report/arms.md").read_text("utf-8")
    tables = section.partition("\n### ")[0]
    quoted = [line for line in tables.splitlines() if line.startswith("| ")]
    assert len(quoted) >= 5
    assert [line for line in quoted if line not in made] == []
    assert made.count("‡ |") == 1, "one test was registered"


@pytest.mark.parametrize(
    ("comparison", "quoted"),
    [
        ("untuned − base", "14.5"),
        ("more_english − base", "0.078"),
        ("en2x − base", "0.102"),
        ("x2en − base", "−14.1"),
        ("x2x − more_english", "0.031"),
        ("x2x − more_english", "−6.5"),
        ("en2x − more_english", "+1.5"),
        ("x2x_untagged − x2x", "−3.3"),
        ("x2x_trans − x2x", "−7.0"),
    ],
)
def test_the_conclusions_quote_the_primary_table(repo: Path, comparison: str, quoted: str) -> None:
    readme, table = ((repo / MINI / name).read_text("utf-8") for name in ("README.md", "arms.md"))
    primary = table[table.index("### AC3, differences") : table.index("### Acc, differences")]
    (row,) = (line for line in primary.splitlines() if line.startswith(f"| {comparison} |"))
    conclusions = readme[readme.index("## What came out") : readme.index("Secondary")]
    assert quoted in row
    assert quoted in conclusions


def test_the_noise_floor_of_facts(repo: Path) -> None:
    """The table under "Inconsistent, or merely unsteady?", with the training seeds of an arm as askings."""
    folder = repo / "recipes/results/facts"
    readme = (folder / "README.md").read_text("utf-8")
    section = readme[readme.index("### Inconsistent, or merely unsteady?") : readme.index("## 2b: what came out")]
    arms: dict[str, list[Run]] = {}
    for run in read_predictions([folder / "known_predictions.csv.gz"]):
        signature = signature_of(run)
        if "answers:cf-mean|" in signature and "langs:en,es,vi,zh" in signature:
            arms.setdefault(run.model.split("/")[1], []).append(run)
    made = []
    for arm, runs in arms.items():
        if len(runs) > 1:
            found = floor_of(runs, n_resamples=1000, seed=0)
            low, high = score_intervals(found)["language_ratio_kappa"]
            values = [found.estimate[key] for key in ("asked_again", "asked_across", "language_ratio_kappa")]
            made.append([arm, *(f"{value:.2f}" for value in values), f"{low:.2f} to {high:.2f}"])
    quoted = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert quoted == made
