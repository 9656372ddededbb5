"""The report's page in a real browser: headless Chromium, driven by Selenium.

Skipped, with the reason, where Chromium, its driver or Selenium is missing (Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.report.build import Options, build_report, write_report
from tests.helpers.report_files import answers_of, write_run

pytestmark = pytest.mark.slow

PAYLOAD = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
ARABIC = "كم عدد الأيام في الأسبوع؟"
LANGUAGES = ("ar", "en", "es", "zh")
FLAGS: tuple[str, ...] = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
PHONE, DESK = (390, 844), (1280, 900)
# Luminance of the page's background, and the lowest contrast of any text with what is behind it (WCAG 2.1).
CONTRAST = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255);
  const [r, g, b] = parts.map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!colour.startsWith('rgba') || !colour.endsWith(' 0)')) return colour;
  }
  return 'rgb(255, 255, 255)';
};
let worst = 21;
for (const node of document.querySelectorAll('body *')) {
  if (node.closest('svg') || node.closest('.skip') || !node.getClientRects().length) continue;
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
  const [high, low] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
  worst = Math.min(worst, (high + 0.05) / (low + 0.05));
}
return [light(getComputedStyle(document.body).backgroundColor), worst];
"""

# Counts what changes in the leaderboard: rows added, and rows or column heads with a changed attribute.
COUNT_CHANGES = """
const count = (records) => {
  for (const one of records) window.changes[one.type] += one.type === 'attributes' ? 1 : one.addedNodes.length;
};
window.changes = {childList: 0, attributes: 0};
const options = {childList: true, attributes: true, subtree: true};
new MutationObserver(count).observe(document.getElementById('board'), options);
"""
CHANGES = "const found = window.changes; window.changes = {childList: 0, attributes: 0}; return found;"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: the page is not driven")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with its driver here: the page is not driven")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models, letter and generated answers, hostile words and names, Arabic."""
    folder = tmp_path_factory.mktemp("results")
    texts = {"question": "{language}: " + ARABIC + PAYLOAD, "option": "{k} " + PAYLOAD, "languages": LANGUAGES}
    for i, skill in enumerate((0.3, 0.9, 0.6)):
        answers, gold = answers_of(skill, n=40, seed=i)
        write_run(folder / "letter", answers, gold, model=f"org/m{i}", **texts)  # type: ignore[arg-type]
        answers[0, 1] = -1
        write_run(
            folder / "gen", answers, gold, model=f"org/m{i}", task="crossin_mini_gen", formulation="gen",
            words="{letter}. " + PAYLOAD, **texts,  # type: ignore[arg-type]
        )  # fmt: skip
        write_run(folder / "other", answers, gold, model=f"org/m{i}", task="cross_mmlu", **texts)  # type: ignore[arg-type]
    write_run(
        folder / "hostile", *answers_of(0.5, n=40, seed=9), model="org/x", model_name=PAYLOAD.replace("/", "\u2215"),
        **texts,  # type: ignore[arg-type]
    )  # fmt: skip
    published = folder / "published.csv"
    published.write_text(
        "base,system,benchmark,acc,consistency,ac3\nGemma,x2x,cross_mmlu,41,42.3,41.7\n", encoding="utf-8"
    )
    out = tmp_path_factory.mktemp("out") / "report"
    write_report(out, build_report([folder], Options(n_resamples=500, published=(str(published),))).files)
    return out / "index.html"


def opened(browser: Any, page: Path, size: tuple[int, int] = DESK, *, dark: bool = False) -> Any:
    """The page, freshly loaded in a window of this size."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    scheme.append({"name": "prefers-reduced-motion", "value": "reduce"})  # no click on a place that still scrolls
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get_log("performance")
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    return browser


def rows(browser: Any, *, baselines: bool = True) -> list[dict[str, str]]:
    """What the leaderboard shows: model, benchmark and AC3 of each row that is not hidden."""
    found = browser.execute_script(
        "return [...document.querySelectorAll('#board tbody tr, #board tfoot tr')].filter((r) => !r.hidden).map((r) => "
        "({model: r.cells[1].querySelector('bdi').innerText, benchmark: r.dataset.benchmark, "
        "formulation: r.dataset.formulation, "
        "ac3: r.cells[2].dataset.v, kind: r.className}))"
    )
    assert isinstance(found, list)
    return [row for row in found if baselines or row["kind"] != "baseline"]


def choose(browser: Any, selector: str, value: str) -> None:
    """Choose an option as a user does, by its text."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element(By.CSS_SELECTOR, selector)).select_by_visible_text(value)


def find(browser: Any, selector: str) -> Any:
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def test_loads_without_errors_or_requests(browser: Any, report: Path) -> None:
    opened(browser, report)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def test_sorts_by_mouse_and_keyboard(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    opened(browser, report)
    button = find(browser, "#board thead th:nth-child(3) button")
    button.click()
    values = [float(row["ac3"]) for row in rows(browser, baselines=False)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 3
    head = find(browser, "#board thead th:nth-child(3)")
    assert head.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.ENTER)
    assert [float(row["ac3"]) for row in rows(browser, baselines=False)] == sorted(values)
    assert head.get_attribute("aria-sort") == "ascending"
    find(browser, "#board thead th:nth-child(2) button").send_keys(Keys.SPACE)
    models = [row["model"].lower() for row in rows(browser, baselines=False)]
    assert models == browser.execute_script("return [...arguments[0]].sort((a, b) => a.localeCompare(b))", models)
    assert head.get_attribute("aria-sort") is None


def test_filters(browser: Any, report: Path) -> None:
    opened(browser, report)
    everything = rows(browser)
    choose(browser, "select[name=benchmark]", "cross_mmlu")
    assert {row["benchmark"] for row in rows(browser)} == {"cross_mmlu"}
    assert {row["kind"] for row in rows(browser)} == {"measured", "published", "baseline"}
    choose(browser, "select[name=benchmark]", "all")
    choose(browser, "select[name=formulation]", "gen")
    shown = rows(browser)
    assert {row["formulation"] for row in shown if row["kind"] != "baseline"} == {"gen"}
    assert 0 < len(shown) < len(everything)
    choose(browser, "select[name=formulation]", "all")
    find(browser, "input[name=model]").send_keys("M2")
    assert {row["model"] for row in rows(browser) if row["kind"] != "baseline"} == {"org/m2"}
    assert find(browser, "#shown").text == f"3 of {len([row for row in everything if row['kind'] != 'baseline'])} rows"


def test_opens_a_question_and_shows_every_language_side_by_side(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    opened(browser, report)
    choose(browser, "#set", "crossin_mini (ar, en, es, zh; 40)")
    answerers = [option.text for option in find(browser, "#answerer").find_elements(By.TAG_NAME, "option")]
    choose(browser, "#answerer", next(text for text in answerers if "org/m0" in text and "gen" in text))
    choose(browser, "#which", "an answer is missing")
    (question,) = browser.find_elements(By.CSS_SELECTOR, "details.question")
    question.find_element(By.TAG_NAME, "summary").click()
    WebDriverWait(browser, 5).until(lambda _: question.find_elements(By.TAG_NAME, "article"))  # a toggle comes later
    articles = question.find_elements(By.TAG_NAME, "article")
    assert [article.get_attribute("lang") for article in articles] == list(LANGUAGES)
    tops = {article.rect["y"] for article in articles}
    assert len(tops) == 1  # side by side on a desk
    assert "no answer" in articles[1].text
    gold = int(answers_of(0.3, n=40)[1][0])
    for article in articles:
        options = article.find_elements(By.TAG_NAME, "li")
        assert len(options) == 4
        assert "✓" in options[gold].text
        assert PAYLOAD in article.text  # as text, whole
    arabic = articles[0].find_element(By.CSS_SELECTOR, ".text")
    assert ARABIC in arabic.text
    assert articles[0].find_element(By.TAG_NAME, "ol").value_of_css_property("direction") == "rtl"
    assert articles[2].find_element(By.TAG_NAME, "ol").value_of_css_property("direction") == "ltr"
    assert browser.title == "Cross-lingual consistency"
    assert browser.get_log("browser") == []


def test_filters_questions_by_what_the_languages_say(browser: Any, report: Path) -> None:
    opened(browser, report)
    counts = {}
    for kind in ("all", "languages disagree", "agree on a wrong option"):
        choose(browser, "#which", kind)
        counts[kind] = int(find(browser, "#question-note").text.split()[0])
    answers, gold = answers_of(0.3, n=40, seed=0)
    answers[0, 1] = -1
    agree = (answers == answers[:, :1]).all(axis=1)
    assert counts["all"] == 40
    assert counts["languages disagree"] == int((~agree).sum())
    assert counts["agree on a wrong option"] == int((agree & (answers[:, 0] != gold)).sum())


def test_filters_questions_by_the_reason_of_the_disagreement(browser: Any, report: Path) -> None:
    opened(browser, report)
    choose(browser, "#which", "all")
    set_ = json.loads(find(browser, "#data").get_attribute("textContent"))
    made, codes = set_["sets"][0], set_["sets"][0]["why"]["0"]
    reasons = next(iter(codes.values()))
    pairs = [reasons[6 * i : 6 * i + 6] for i in range(len(made["ids"]))]
    code = max(set("".join(pairs)) - {"."})
    choose(browser, "#why", set_["reasons"][int(code)])
    assert int(find(browser, "#question-note").text.split()[0]) == sum(code in pair for pair in pairs)
    find(browser, "details.question summary").click()
    assert "Why its languages disagree: " in find(browser, "details.question").text
    assert find(browser, "table.why tbody tr").text.startswith("all pairs ")


def test_language_pairs_are_the_scores(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By

    opened(browser, report)
    names = [option.text for option in find(browser, "#entry").find_elements(By.TAG_NAME, "option")]
    choose(
        browser, "#entry", next(name for name in names if name.startswith("org/m1 · crossin_mini") and "letter" in name)
    )
    cells = [cell.text for cell in find(browser, ".heat").find_elements(By.CSS_SELECTOR, "tbody td")]
    answers, _ = answers_of(0.9, n=40, seed=1)
    expected = [
        "" if i == j else f"{100 * float((answers[:, i] == answers[:, j]).mean()):.1f}" for i, j in np.ndindex(4, 4)
    ]
    assert cells == expected


def test_dark_light_and_contrast(browser: Any, report: Path) -> None:
    for dark in (False, True):
        opened(browser, report, dark=dark)
        find(browser, "details.question summary").click()
        background, worst = browser.execute_script(CONTRAST)
        assert background < 0.05 if dark else background > 0.9
        assert worst >= 4.5  # WCAG 2.1 AA, 1.4.3


@pytest.mark.parametrize("size", [PHONE, (320, 568), DESK])
def test_nothing_is_wider_than_the_screen(browser: Any, report: Path, size: tuple[int, int]) -> None:
    opened(browser, report, size)
    find(browser, "details.question summary").click()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]


def test_controls_have_names_and_regions_can_be_reached(browser: Any, report: Path) -> None:
    opened(browser, report)
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('button, select, input, [role=region], [role=img]')].filter((n) => "
        "!(n.textContent.trim() && n.tagName === 'BUTTON') && !n.getAttribute('aria-label') && "
        "!n.getAttribute('aria-labelledby') && !(n.labels && n.labels.length)).map((n) => n.outerHTML.slice(0, 80))"
    )
    assert nameless == []
    unreachable = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')]"
        ".filter((n) => n.scrollWidth > n.clientWidth && n.tabIndex < 0).map((n) => n.outerHTML.slice(0, 80))"
    )
    assert unreachable == []
    doubles = browser.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map((n) => n.id);"
        "return ids.filter((x, i) => ids.indexOf(x) < i)"
    )
    assert doubles == []


def test_a_hundred_models_on_five_tasks_stay_usable(browser: Any, tmp_path: Path) -> None:
    """Under 15 MB; sorting and filtering change each row once and nothing else: the work grows with the rows."""
    (tmp_path / "sets").mkdir()
    questions = []
    for task in range(5):
        name = f"bench{task}"
        with (tmp_path / f"predictions_{name}.jsonl").open("w", encoding="utf-8") as stream:
            for model in range(100):
                answers, gold = answers_of(0.2 + 0.007 * model, n=150, seed=model)
                for q, row in enumerate(answers.tolist()):
                    for language, answer in zip(LANGUAGES, row, strict=True):
                        record = {"model": f"organisation/model-{model:03d}", "id": f"q{q}", "language": language}
                        stream.write(
                            json.dumps({**record, "answer": answer, "gold": int(gold[q]), "n_choices": 4}) + "\n"
                        )
        texts = tmp_path / "sets" / f"{name}.jsonl"
        with texts.open("w", encoding="utf-8") as stream:
            for q, right in enumerate(gold.tolist()):
                choices = [f"option {k} of {q} " + "with some words " * 3 for k in range(4)]
                one = {
                    "question": f"question {q} " + "of many words " * 20,
                    "choices": choices,
                    "answer": choices[right],
                }
                stream.write(json.dumps({"id": f"q{q}", **dict.fromkeys(LANGUAGES, one)}) + "\n")
        questions.append(str(texts))
    tables = sorted(tmp_path.glob("*.jsonl"))
    files = build_report(tables, Options(questions=tuple(questions))).files
    write_report(tmp_path / "report", files)
    page = tmp_path / "report" / "index.html"
    assert page.stat().st_size < 15_000_000
    opened(browser, page)
    browser.execute_script(COUNT_CHANGES)
    find(browser, "#board thead th:nth-child(3) button").click()
    assert browser.execute_script(CHANGES) == {"childList": 500, "attributes": 1}  # every row moved once
    choose(browser, "select[name=benchmark]", "bench3")
    assert len(rows(browser)) == 102
    # Each row and baseline of the other four benchmarks is hidden once; the rest stays as it is.
    assert browser.execute_script(CHANGES) == {"childList": 0, "attributes": 4 * 102}
    # On a phone, scrolled down and to the side, the column names stay on top and the models' names are not drawn over.
    opened(browser, page, PHONE)
    drawn = browser.execute_script(
        "const box = document.querySelector('.scroll:has(> .board)'); box.scrollIntoView(); box.scrollTo(150, 2000);"
        "const {left, top} = box.getBoundingClientRect();"
        "return Array.from({length: 120}, (_, i) => document.elementFromPoint(left + 60, top + 5 + 5 * i))"
        ".map((one) => one.closest('.model')?.parentElement.parentElement.tagName ?? one.outerHTML)"
    )
    assert (drawn[0], set(drawn)) == ("THEAD", {"THEAD", "TBODY"})


def test_arms_fit_the_screen_in_dark_and_light(browser: Any, tmp_path: Path) -> None:
    lines = ["run,name,arm,seed,tokens,seconds,peak_memory_gb,trained_parameters"]
    for arm in ("base", "<b>x2x</b>_with_a_name_that_goes_on_and_on"):
        for seed in (0, 1, 2):
            folder = tmp_path / "runs" / arm[:3].strip("<") / f"seed{seed}"
            write_run(folder, *answers_of(0.5, n=40, seed=seed + len(arm)), model="org/m")
            lines.append(f"*/{folder.parent.name}/seed{seed}/*,{arm},,{seed},1000000,600,3.5,30000000")
    lines.append("*/nowhere/*,lost,,0,,,,")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    options = Options(n_resamples=200, labels=tmp_path / "labels.csv", baseline="base")
    write_report(tmp_path / "report", build_report([tmp_path / "runs"], options).files)
    for size, dark in ((PHONE, True), ((320, 568), False), (DESK, False)):
        opened(browser, tmp_path / "report" / "index.html", size, dark=dark)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
        assert float(browser.execute_script(CONTRAST)[1]) >= 4.5
    tables = browser.execute_script(
        "return [...document.querySelectorAll('#arms table')]"
        ".map((table) => [...table.rows].map((row) => row.cells[0].textContent))"
    )
    shown = ["base", "<b>x2x</b>_with_a_name_that_goes_on_and_on", "lost"]
    assert tables[0][1:] == shown
    assert tables[1][1:] == shown[1:]  # each against the baseline
    assert browser.execute_script("return document.querySelectorAll('#arms b').length") == 0
    assert "lost, seed 0" in find(browser, "#arms .notice").text


def test_a_link_restores_filters_sorting_and_the_open_question(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By

    opened(browser, report)
    choose(browser, "select[name=benchmark]", "cross_mmlu")
    find(browser, "input[name=model]").send_keys("m")
    find(browser, "#board thead th:nth-child(4) button").click()
    choose(browser, "#which", "all")
    choose(browser, "#order", "id")
    find(browser, "#later").click()
    question = browser.find_elements(By.CSS_SELECTOR, "details.question")[3]
    question.find_element(By.TAG_NAME, "summary").click()
    identifier = question.find_element(By.TAG_NAME, "code").text
    before = rows(browser)
    for _ in range(50):
        link = browser.current_url
        if "q=" in link:
            break
    assert f"q={identifier}" in link
    browser.get("about:blank")
    browser.get(link)
    assert rows(browser) == before
    assert find(browser, "#board thead th:nth-child(4)").get_attribute("aria-sort") == "descending"
    assert find(browser, "#which").get_attribute("value") == "all"
    (opened_again,) = browser.find_elements(By.CSS_SELECTOR, "details.question[open]")
    assert opened_again.find_element(By.TAG_NAME, "code").text == identifier
    assert len(opened_again.find_elements(By.TAG_NAME, "article")) == len(LANGUAGES)


def test_two_models_side_by_side_with_probabilities(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    opened(browser, report)
    choose(browser, "#set", "cross_mmlu (ar, en, es, zh; 40)")
    choose(browser, "#answerer", "org/m0")
    choose(browser, "#other", "org/m1")
    choose(browser, "#which", "the two models differ")
    choose(browser, "#order", "most languages where the two differ")
    one, two = (answers_of(skill, n=40, seed=i)[0] for i, skill in enumerate((0.3, 0.9)))
    differ = (one != two).sum(axis=1)
    assert int(find(browser, "#question-note").text.split()[0]) == int((differ > 0).sum())
    question = find(browser, "details.question")
    number = int(question.find_element(By.TAG_NAME, "code").text.removeprefix("q"))
    assert differ[number] == differ.max()
    question.find_element(By.TAG_NAME, "summary").click()
    WebDriverWait(browser, 5).until(lambda _: question.find_elements(By.TAG_NAME, "article"))
    for column, article in enumerate(question.find_elements(By.TAG_NAME, "article")):
        items = article.find_elements(By.TAG_NAME, "li")
        assert "◄" in items[one[number, column]].text
        assert "◁" in items[two[number, column]].text
        assert items[0].text.count("%") == 2  # a probability of each model


def test_downloads_what_is_shown(browser: Any, report: Path) -> None:
    opened(browser, report)
    browser.execute_script(
        "URL.createObjectURL = (blob) => { blob.text().then((t) => { window.saved = t; }); return 'data:,'; }"
    )
    choose(browser, "select[name=benchmark]", "cross_mmlu")
    find(browser, "#board-csv").click()
    saved = browser.execute_async_script("setTimeout(() => arguments[0](window.saved), 200)")
    head, *lines = list(csv.reader(saved.splitlines()))
    assert {line[head.index("Benchmark")] for line in lines} == {"cross_mmlu"}
    assert [line[head.index("Model")] for line in lines] == [row["model"] for row in rows(browser)]
    assert [line[head.index("AC3")] for line in lines] == [row["ac3"] for row in rows(browser)]
    assert all(len(line) == len(head) for line in lines)
