"""Facts that no model can have seen: 100 invented people, four facts each, as sentences with a blank in en zh vi es.

Names, sentences and values are written by this project. A name is spelled alike in every language; a fact's value, its
options (of one kind) and their order follow from SHA-256, so the set is the same everywhere. Trained on some of the
facts in one language, a model shows what it carries over to the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_codes
from crossin_metrics.sets.catalogue import SetEntry
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ

N_PEOPLE, N_OPTIONS = 100, 4
LANGUAGES = ("en", "zh", "vi", "es")

_FIRST = (
    ("Zor", "Mir", "Tal", "Quen", "Ost", "Bel", "Fan", "Yor", "Ves", "Lut"),
    ("van", "elka", "domir", "nith", "rik", "une", "drac", "ossa", "kel", "hara"),
)
_LAST = (
    ("Kelt", "Brand", "Omm", "Sath", "Pelg", "Dunv", "Harq", "Wend", "Corv", "Jusk"),
    ("row", "usk", "ervil", "rin", "ard", "essy", "uist", "rath", "ane", "ith"),
)

# relation -> language -> sentence with {} for the person and the blank, and the eight values in the same order
RELATIONS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "job": {
        "en": (
            "{} works as a ____.",
            ("baker", "nurse", "carpenter", "lawyer", "farmer", "pilot", "teacher", "painter"),
        ),
        "zh": ("{}的职业是____。", ("面包师", "护士", "木匠", "律师", "农民", "飞行员", "教师", "画家")),
        "vi": (
            "{} làm nghề ____.",
            ("thợ làm bánh", "y tá", "thợ mộc", "luật sư", "nông dân", "phi công", "giáo viên", "họa sĩ"),
        ),
        "es": (
            "{} trabaja de ____.",
            ("panadero", "enfermero", "carpintero", "abogado", "agricultor", "piloto", "profesor", "pintor"),
        ),
    },
    "pet": {
        "en": ("The pet of {} is a ____.", ("dog", "cat", "horse", "rabbit", "goat", "parrot", "turtle", "duck")),
        "zh": ("{}的宠物是____。", ("狗", "猫", "马", "兔子", "山羊", "鹦鹉", "乌龟", "鸭子")),
        "vi": ("Thú cưng của {} là ____.", ("chó", "mèo", "ngựa", "thỏ", "dê", "vẹt", "rùa", "vịt")),
        "es": (
            "La mascota de {} es ____.",
            ("un perro", "un gato", "un caballo", "un conejo", "una cabra", "un loro", "una tortuga", "un pato"),
        ),
    },
    "food": {
        "en": ("{} eats ____ every day.", ("rice", "bread", "soup", "cheese", "fish", "eggs", "apples", "honey")),
        "zh": ("{}每天都吃____。", ("米饭", "面包", "汤", "奶酪", "鱼", "鸡蛋", "苹果", "蜂蜜")),
        "vi": ("{} ăn ____ mỗi ngày.", ("cơm", "bánh mì", "súp", "phô mai", "cá", "trứng", "táo", "mật ong")),
        "es": (
            "{} come ____ todos los días.",
            ("arroz", "pan", "sopa", "queso", "pescado", "huevos", "manzanas", "miel"),
        ),
    },
    "colour": {
        "en": ("The house of {} is ____.", ("red", "blue", "green", "white", "black", "yellow", "brown", "pink")),
        "zh": (
            "{}的房子是____的。",
            ("红色", "蓝色", "绿色", "白色", "黑色", "黄色", "棕色", "粉色"),
        ),
        "vi": (
            "Nhà của {} có màu ____.",
            ("đỏ", "xanh dương", "xanh lá", "trắng", "đen", "vàng", "nâu", "hồng"),
        ),
        "es": (
            "La casa de {} es de color ____.",
            ("rojo", "azul", "verde", "blanco", "negro", "amarillo", "marrón", "rosa"),
        ),
    },
}


def build(
    entry: SetEntry,
    *,
    languages: Sequence[str] | None = None,
    data_dir: Path | None = None,
    revision: str | None = None,
    people: range = range(N_PEOPLE),
) -> ParallelMCQ:
    """Build `invented_facts`: four facts about each of these people, with four options of one kind.

    Args:
        entry: of the catalogue.
        languages: codes in the order wanted; None: those of the entry.
        data_dir, revision: unused; the set needs no files.
        people: their numbers, below `N_PEOPLE`.

    Raises:
        CrossinError: a language that the set does not have.
    """
    codes = language_codes(languages or entry.languages)
    for code in codes:
        if code not in LANGUAGES:
            raise CrossinError(f"{entry.name}: no language {code}; it has {', '.join(LANGUAGES)}")
    facts = [(number, relation) for number in people for relation in RELATIONS]
    shown = [_options(number, relation) for number, relation in facts]
    items = {
        code: tuple(
            Item(None, sentence(number, relation, code), tuple(RELATIONS[relation][code][1][v] for v in values))
            for (number, relation), (values, _) in zip(facts, shown, strict=True)
        )
        for code in codes
    }
    return ParallelMCQ(
        entry.name,
        codes,
        tuple(f"{number:02d}-{relation}" for number, relation in facts),
        items,
        tuple(gold for _, gold in shown),
        tuple(relation for _, relation in facts),
        "invented:1",
    )


def data_files(entry: SetEntry, folder: Path) -> tuple[Path, ...]:
    """None: the set is made by this module."""
    return ()


def name_of(number: int) -> str:
    """The name of a person; no two share a first or a last name."""
    i, j = divmod(number, 10)
    return f"{_FIRST[0][i]}{_FIRST[1][j]} {_LAST[0][(i + j) % 10]}{_LAST[1][(i + 2 * j) % 10]}"


def sentence(number: int, relation: str, code: str) -> str:
    """A fact's sentence with a blank."""
    return RELATIONS[relation][code][0].format(name_of(number))


def _options(number: int, relation: str) -> tuple[list[int], int]:
    """The values that are options of a fact, in their order, and the place of the right one."""
    order = sorted(range(8), key=lambda value: _draw(number, relation, value))
    gold = int.from_bytes(_draw(number, relation, "gold")[:4], "big") % 8
    values = [gold, *(value for value in order if value != gold)][:N_OPTIONS]
    shown = sorted(values, key=lambda value: _draw(number, relation, "order", value))
    return shown, shown.index(gold)


def _draw(*parts: object) -> bytes:
    return hashlib.sha256("|".join(map(str, ("invented", *parts))).encode()).digest()
