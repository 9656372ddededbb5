"""A score is added to a copy of the package: a definition and a catalogue entry; every table takes it from there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ADDED = {  # file -> (the line before which the text goes, the text)
    "scores/definitions.py": (
        '    scores["fleiss_kappa"] = ',
        '    scores["unanimous"] = mean["agree"][..., -1]\n',
    ),
    "scores/catalogue.py": (
        '        Score("transfer", ',
        '        Score("unanimous", "Unanimous", "share of questions with one answer in all languages"),\n',
    ),
}

CHECK = """
import json, subprocess, sys
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from crossin_metrics.exports.records import EXPORTED

command = [sys.executable, "-m", "crossin_metrics.cli", "score", "picks.csv"]
scores = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
assert scores["unanimous"] == 0.5, scores
assert "unanimous" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
assert "unanimous" in EXPORTED
manager = TaskManager(include_path="lm_eval_tasks", include_defaults=False)
results = simple_evaluate(model="dummy", tasks=["crossin_mini"], task_manager=manager, log_samples=False)["results"]
assert 0 <= results["crossin_mini"]["unanimous,none"] <= 1
assert results["crossin_mini"]["unanimous_stderr,none"] != "N/A", results
"""

PICKS = "id,language,answer,gold\n1,en,0,0\n1,es,0,0\n2,en,0,1\n2,es,1,1\n"


def test_a_metric_is_one_definition_and_one_entry(repo: Path, tmp_path: Path) -> None:
    for part in ("crossin_metrics", "lm_eval_tasks"):
        shutil.copytree(repo / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (anchor, text) in ADDED.items():
        path = tmp_path / "crossin_metrics" / name
        content = path.read_text(encoding="utf-8")
        assert content.count(anchor) == 1, name
        path.write_text(content.replace(anchor, text + anchor), encoding="utf-8")
    (tmp_path / "picks.csv").write_text(PICKS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
