"""The page, read back with Python's own HTML parser, against the JSON that it was made from."""

import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate, ranks_frame
from slmrec.report import write_report
from slmrec.report.run import SOMETIMES

MakeRun = Callable[..., Path]
VOID = {"meta", "br", "link", "img", "input", "hr", "base", "source"}


class Page(HTMLParser):
    """Collects what the tests ask about; refuses tags that do not close."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.values: list[float] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "data":
            self.values.append(float(dict(attrs)["value"] or "nan"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        """The page's text with all space as one."""
        return " ".join("".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, name: str) -> list[str]:
        """The cells of the first row whose first cell begins so."""
        return next([" ".join(cell.split()) for cell in row] for row in self.rows if row[0].startswith(name))


def report(run: Path) -> Page:
    path = write_report(run)
    assert path == run / "report.html"
    return Page(path)


@pytest.fixture(scope="module")
def page(usual_run: Path) -> Page:
    return report(usual_run)


@pytest.fixture(scope="module")
def hostile_page(hostile_run: Path) -> Page:
    return report(hostile_run)


def test_the_table_says_what_the_metrics_say(usual_run: Path, page: Page):
    run = usual_run
    entries = {entry["model"]: entry for entry in json.loads((run / "metrics.json").read_text())}
    titles = {"popularity": "Popularity", "item_knn": "Item-kNN", "sasrec": "SASRec", "teacher": "Teacher 8 layers"}
    titles |= {"student_ce": "Student, cross-entropy", "student": "Student, distilled 4 layers"}
    names = ["HR@1", "HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"]
    header = [" ".join(cell.split()) for cell in page.rows[1]]
    assert header == [*names, "total", "w/o vocabulary", "trained", "training", "users/s"]
    for name, title in titles.items():
        cells = page.row(title)
        assert cells[1:9] == [f"{entries[name]['metrics'][metric]:.4f}" for metric in names]
        for value in [*entries[name]["metrics"].values(), *entries[name]["parameters"].values()]:
            assert value in page.values
        assert entries[name]["users"] / entries[name]["seconds"] in page.values
        training = json.loads((run / name / "training.json").read_text())
        assert training["seconds"] in page.values
    assert page.row("Student, distilled 4 layers")[9:] == ["42.9 M", "14.6 M", "1.1 M", "2 min 52 s", "84.2"]


def test_the_best_of_each_column_stands_out(make_run: MakeRun):
    source = report(make_run(scales={"teacher": 5.0})).source
    bold = [float(value) for value in re.findall(r"<strong>(0\.\d{4})</strong>", source)]
    teacher = next(row for row in source.split("<tr") if "Teacher <span" in row)
    assert len(bold) == teacher.count("<strong>") == 8


def test_everything_asked_for_is_there(page: Page):
    for words in (
        "The 4-layer student keeps",
        "943 users, 1,349 items and 99,287 interactions",
        "items and users with at least 5, in 2 rounds",
        "The first 8 layers of smollm2-135m, LoRA of rank 16",
        "Example CPU @ 2.60GHz",
        "Each model ranks the full catalogue",
        "Ties count against the model",
        "12 targets never occur in the training data",
        "Each model was trained with one seed",
        "Cosine distance to the teacher",
        "Cross-entropy at inner blocks",
        "By length of the history",
        "By popularity of the target",
        "slmrec recommend",
    ):
        assert words in page.text
    figures = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert len(figures) == 2 + 2 + 4 + 4  # trade-offs, strata, curves, parts of the loss
    assert all(attributes["aria-label"] for attributes in figures)
    assert len(page.all("details")) == 10 + 1  # examples and the full recipe


def test_the_page_needs_nothing_but_itself(hostile_page: Page):
    page = hostile_page
    assert not {"script", "link", "img", "iframe", "base", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert len(page.source.encode()) < 1_000_000


def test_ids_are_unique_and_links_lead_somewhere(page: Page):
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "xlink:href", "aria-labelledby"):
            if attributes.get(name):
                assert str(attributes[name]).removeprefix("#") in ids
    clips = set(re.findall(r"url\(#([^)]*)\)", page.source))
    assert clips <= set(ids)


def test_titles_may_hold_anything(hostile: list[str], hostile_page: Page):
    for title in hostile:
        assert " ".join(title.split()) in hostile_page.text
    assert "<script" not in hostile_page.source


def test_plots_take_their_colours_from_the_page(page: Page):
    source = page.source
    plots = "".join(re.findall(r'<svg viewBox[^>]*role="img".*?</svg>', source, flags=re.DOTALL))
    assert "var(--student-ce)" in plots
    assert not re.search(r"#[0-9a-f]{6}\b", plots)
    used = set(re.findall(r"var\((--[a-z-]+)", source))
    assert used <= set(re.findall(r"(--[a-z-]+):", source))


def test_colours_can_be_read_on_their_ground(page: Page):
    """WCAG 2.2: contrast of at least 4.5 for text, by its formula."""
    parts = page.source.split(":root")[1:3]
    themes = [dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6})", part)) for part in parts]
    assert [len(theme) for theme in themes] == [20, 20]
    for theme in themes:
        grounds = [theme["--surface"], theme["--raised"]]
        for name in set(theme) - {"--surface", "--raised", "--rule", "--hit", "--hit-ink"}:
            assert min(contrast(theme[name], ground) for ground in grounds) >= 4.5, name
        assert contrast(theme["--hit-ink"], theme["--hit"]) >= 4.5


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_hits_are_marked_with_more_than_colour(usual_run: Path, page: Page):
    hits = sum(
        item["hit"]
        for example in json.loads((usual_run / "examples.json").read_text())
        for shown in example["models"].values()
        for item in shown
    )
    assert hits > 0
    assert page.text.count("(the true next item)") == hits


def test_the_same_run_gives_the_same_page(usual_run: Path, page: Page):
    assert report(usual_run).source == page.source


def test_a_model_below_popularity_is_a_warning(make_run: MakeRun):
    page = report(make_run(scales={"teacher": 3000.0}))
    assert "Teacher is no better than popularity" in page.text


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("ranks.parquet", "no intervals are given"),
        ("run.json", "The run left no account of itself"),
        ("student/training.json", "The distilled student’s log names no parts of its loss"),
    ],
)
def test_what_is_missing_is_said(make_run: MakeRun, missing: str, sentence: str):
    assert sentence in report(make_run(without=[missing])).text


def test_a_run_of_metrics_alone(make_run: MakeRun):
    models = ["sasrec", "student"]
    files = ["examples.json", "ranks.parquet", "run.json", "data/dataset.json"]
    run = make_run(models=models, without=[*files, *(f"{model}/training.json" for model in models)])
    page = report(run)
    absent = "popularity, item-kNN, the teacher, the student trained by cross-entropy alone"
    assert f"Not in this run: {absent}." in page.text
    assert "No model of this run left a training log" in page.text
    assert "The run holds no examples" in page.text
    assert "no account of how the data was prepared" in page.text
    assert "how sure that is cannot be said" in page.text


@pytest.mark.parametrize("models", [["popularity"], ["student"], ["sasrec", "teacher"]])
def test_any_models_make_a_page(make_run: MakeRun, models: list[str]):
    assert report(make_run(models=models, users=5)).text.count("Not in this run") == 1


def test_models_that_not_every_run_has(make_run: MakeRun):
    models = ["popularity", "item_knn", *SOMETIMES, "sasrec", "teacher", "student_ce", "student"]
    run = make_run(models=models)
    told = json.loads((run / "run.json").read_text())
    told["recipe"]["distillation"] |= {"form": "scores", "candidates": 16384, "temperature": 1.0, "cross_entropy": 0.05}
    told["recipe"]["ensemble"] = {
        "sasrecs": 3,
        "item_knn": True,
        "sequential_rules": True,
        "text_knn": True,
        "taught_dropout": 0.3,
    }
    (run / "run.json").write_text(json.dumps(told))
    page = report(run)
    assert "Not in this run" not in page.text
    assert "the teacher and 3 SASRecs, item-kNN, sequential rules, text-kNN together" in page.text
    assert "Serve " in page.text
    for name in (
        "Sequential rules",
        "Text-kNN",
        "SASRec, taught",
        "SASRec + neighbours",
        "Student + neighbours",
    ):
        assert page.row(name)
    for name in SOMETIMES:  # drawn in a colour of its own, in light and in dark
        assert page.source.count(f"--{name.replace('_', '-')}: #") == 2
        assert f"var(--{name.replace('_', '-')})" in page.source


def test_models_that_find_nothing(make_run: MakeRun):
    names = ["popularity", "item_knn", "sasrec", "teacher", "student_ce", "student"]
    page = report(make_run(scales=dict.fromkeys(names, 1e9), users=4))
    assert "No model of this run puts a single true next item among its first ten." in page.text


class FirstItems:
    """Ranks items by their index; all that evaluation asks of a model."""

    kind = "popularity"

    def __init__(self, data: Dataset) -> None:
        self.catalogue = data.catalogue

    def score(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
        return -torch.arange(len(self.catalogue)).float().repeat(len(histories), 1)

    def parameter_counts(self) -> dict[str, int]:
        return {"total": 0, "without_vocabulary": 0, "trained": 0}


def test_what_the_product_writes_can_be_read(tmp_path: Path):
    """The files as evaluation and data write them, not as the made-up run has them."""
    events = [(user, (user + step) % 7, step) for user in range(12) for step in range(5)]
    data = Dataset.from_frame(
        pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row"), name="tiny"
    )
    data.save(tmp_path / "data")
    evaluation = evaluate(FirstItems(data), data)
    (tmp_path / "metrics.json").write_text(json.dumps([evaluation.to_json()]))
    ranks_frame(evaluation, data).write_parquet(tmp_path / "ranks.parquet")
    page = report(tmp_path)
    assert "tiny with 12 users, 7 items and 60 interactions" in page.text
    assert page.row("Popularity")[6] == f"{evaluation.metrics['NDCG@10']:.4f}"


def test_a_long_log_stays_a_small_page(make_run: MakeRun):
    assert len(report(make_run(log_rows=100)).source) < 1_000_000


def test_without_metrics_there_is_nothing_to_report(make_run: MakeRun):
    run = make_run(without=["metrics.json"])
    with pytest.raises(UserError, match=r"has no metrics\.json.*slmrec run SOURCE --out"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", b"[]"),
        ("metrics.json", b'[{"model": "sasrec"}]'),
        ("metrics.json", b'[{"model": "sas'),
        ("run.json", b"\xff\xfe"),
        ("examples.json", b"{}"),
        ("student/training.json", b"[1]"),
        ("ranks.parquet", b"no table"),
    ],
)
def test_a_damaged_file_is_named_and_the_old_report_stays(make_run: MakeRun, name: str, content: bytes):
    run = make_run()
    (run / "report.html").write_text("the old one")
    (run / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(run / name))):
        write_report(run)
    assert (run / "report.html").read_text() == "the old one"
    assert not list(run.glob(".report*"))
