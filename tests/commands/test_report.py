"""From the harness's command on a real model to the report's figures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crossin_metrics.demo_model import demo_model
from crossin_metrics.errors import CrossinError

BIN = Path(sys.executable).parent
TASKS = {"p1": ("crossin_mini", "crossin_mini_cf", "crossin_mini_gen"), "p3": ("crossin_mini",)}


@pytest.mark.slow
def test_figures_of_the_report_are_the_harness_s_own(tmp_path: Path) -> None:
    try:
        model = demo_model()
    except CrossinError as error:
        pytest.skip(f"no small real model here, the real command is not run: {error}")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    for prompt, tasks in TASKS.items():
        command = [str(BIN / "lm_eval"), "--tasks", ",".join(tasks), "--model", "hf", "--limit", "8"]
        command += [
            "--model_args",
            f"pretrained={model},dtype=float32",
            "--output_path",
            str(tmp_path / "runs" / prompt),
        ]
        command += ["--log_samples", "--metadata", json.dumps({"prompt": prompt}), "--gen_kwargs", "max_gen_toks=16"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
        assert done.returncode == 0, done.stderr[-2000:]
    out = tmp_path / "report"
    command = [str(BIN / "crossin"), "report", str(tmp_path / "runs"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    remarks = [line for line in done.stderr.splitlines() if "questions are few" not in line]
    assert remarks == []  # what the samples give is what the harness stated
    with (out / "prompts.csv").open(encoding="utf-8") as stream:
        rows = {(row["formulation"], row["prompt"]): row for row in csv.DictReader(stream)}
    assert len(rows) == 5  # letter with two prompts; cf, cf+norm, gen
    for path in sorted((tmp_path / "runs").rglob("results_*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for task in content["configs"]:
            signature = content["configs"][task]["metadata"]["signature"]
            assert signature.split("|v:")[0].rsplit("|prompt", 1)[0] in (out / "scores.csv").read_text(encoding="utf-8")
            prompt = content["configs"][task]["metadata"]["prompt"]
            for ending in ("", "_norm") if task.endswith("_cf") else ("",):
                formulation = task.removeprefix("crossin_mini").lstrip("_") or "letter"
                row = rows[formulation + ending.replace("_", "+"), prompt]
                for metric in ("acc", "consistency", "ac3"):
                    stated = content["results"][task][f"{metric}{ending},none"]
                    assert float(row[metric]) == pytest.approx(stated, abs=1e-9), (task, prompt, metric)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "How many days are there in one week?" in page
    assert model.name in page
