"""A language is added to a copy of the package: three rows in three files, and everything else looks them up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROWS = {  # file -> (the line after which the row goes, the row)
    "languages.py": (
        "    for row in (\n",
        '        Language("is", "isl", "isl_Latn", "Icelandic", "íslenska", "Latin"),\n',
    ),
    "harness/prompt_words.py": (
        "WORDS: dict[str, Words] = {\n",
        '    "is": Words("Spurning", "Svar"),\n',
    ),
    "answers/cues.py": (
        "CUES: dict[str, Cue] = {\n",
        '    "is": Cue("svar(?:ið)?", "valkostur", "rétta?", "er", "spurning", "texti"),\n',
    ),
}

CHECK = """
from crossin_metrics.answers import read_answer
from crossin_metrics.harness.prompts import native_prompt
from crossin_metrics.languages import language_code, log_language
from crossin_metrics.sets.loading import load_file

assert [language_code(name) for name in ("Icelandic", "ÍSLENSKA", "isl", "is-IS")] == ["is"] * 4
assert log_language("isl_Latn") == "is"
prompt = native_prompt("is").render("Davíð býr í Róm.", "Hvar?", ("Róm", "París"), "letter")
assert "Spurning: Hvar?" in prompt and prompt.endswith("Svar:"), prompt
assert read_answer("Ég hef hugsað málið og svarið er B.", ("Róm", "París"), "is") == 1
assert load_file("set.jsonl").languages == ("en", "is")
"""

SET = """{"id": "1", "English": {"question": "Where?", "choices": ["Rome", "Paris"], "answer": "Rome"}, \
"Icelandic": {"question": "Hvar?", "choices": ["Róm", "París"], "answer": "Róm"}}
"""


def test_a_language_is_three_rows(repo: Path, tmp_path: Path) -> None:
    package = tmp_path / "crossin_metrics"
    shutil.copytree(repo / "crossin_metrics", package, ignore=shutil.ignore_patterns("__pycache__", "report"))
    for name, (anchor, row) in ROWS.items():
        text = (package / name).read_text(encoding="utf-8")
        assert text.count(anchor) == 1, name
        (package / name).write_text(text.replace(anchor, anchor + row), encoding="utf-8")
    (tmp_path / "set.jsonl").write_text(SET, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(ROWS) == 3  # files to touch, one row each
