"""A language is added to a copy of the package: three rows in three files, and everything else looks them up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROWS = {  # file -> (the line after which the row goes, the row)
    "languages.py": (
        "    for row in (\n",
        '        Language("he", "heb", "heb_Hebr", "Hebrew", "עברית", "Hebrew", 0.8, 2.1),\n',
    ),
    "harness/prompt_words.py": (
        "WORDS: dict[str, Words] = {\n",
        '    "he": Words("קטע", "שאלה", "תשובה"),\n',
    ),
    "answers/cues.py": (
        "CUES: dict[str, tuple[str, ...]] = {\n",
        '    "he": (r"תשובה(?P<{gap}>[^.\\n:]{{0,30}}?)(?:היא|:)",),\n',
    ),
}

CHECK = """
from crossin_metrics.answers import read_answer
from crossin_metrics.harness.prompts import native_prompt
from crossin_metrics.languages import LANGUAGES, language_code, log_language
from crossin_metrics.sets.loading import load_file

assert [language_code(name) for name in ("Hebrew", "עברית", "heb", "he-IL")] == ["he"] * 4
assert log_language("heb_Hebr") == "he"
assert LANGUAGES["he"].direction == "rtl"
prompt = native_prompt("he").render("דוד גר ברומא.", "איפה?", ("ברומא", "בפריז"), "letter")
assert "קטע: דוד" in prompt and prompt.endswith("תשובה:"), prompt
assert read_answer("חשבתי על זה, והתשובה היא B.", ("ברומא", "בפריז"), "he") == 1
data = load_file("set.jsonl")
assert data.languages == ("en", "he")
"""

SET = """{"id": "1", "English": {"question": "Where?", "choices": ["Rome", "Paris"], "answer": "Rome"}, \
"Hebrew": {"question": "איפה?", "choices": ["רומא", "פריז"], "answer": "רומא"}}
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
        env={"PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(ROWS) == 3  # files to touch, one row each
