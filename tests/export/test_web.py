"""The folder of a page: what is in it, and what is refused. onnxruntime-web is stood in for; tests/page runs it."""

import hashlib
import json
import re
import shutil

import pytest

from slmrec.cli.main import main
from slmrec.errors import UserError
from slmrec.export import export_bundle, export_web, web
from slmrec.export.onnxruntime_web import FILES

from .conftest import tiny


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """Two small files instead of the real ones."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(name.encode())
    monkeypatch.setattr(web, "onnxruntime_web", lambda report: folder)
    return folder


@pytest.fixture(scope="module")
def made(cycle, tmp_path_factory):
    """A model folder `net` and its bundle `packed`."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny("sasrec", cycle, folder / "decoder")
    model.save_pretrained(folder / "net")
    export_bundle(model, folder / "packed")
    return folder


def test_everything_stands_in_the_manifest(made, tmp_path):
    written = export_web([made / "packed", made / "net"], tmp_path / "page")
    assert json.loads((tmp_path / "page" / "web.json").read_text()) == written
    assert [(model["name"], model["precision"], model["folder"]) for model in written["models"]] == [
        ("packed", "fp32", "1-packed"),
        ("net", "int8", "2-net"),
    ]
    there = {str(path.relative_to(tmp_path / "page")) for path in (tmp_path / "page").rglob("*") if path.is_file()}
    assert there == {*written["files"], "web.json"}
    for name, told in written["files"].items():
        content = (tmp_path / "page" / name).read_bytes()
        assert told == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert written["bytes"] == sum(told["bytes"] for told in written["files"].values())
    export_web(made / "packed", tmp_path / "page")  # an earlier page is replaced
    assert not (tmp_path / "page" / "models" / "2-net").exists()


def test_the_page_is_the_servers_with_another_backend(made, tmp_path):
    export_web(made / "packed", tmp_path / "page")
    page = tmp_path / "page"
    assert 'from "./browser.js"' in (page / "backend.js").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', (page / "index.html").read_text()).group(1)
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "'unsafe-eval'" not in policy
    assert {path.name for path in (page / "ort").iterdir()} == set(FILES)
    for script in page.glob("*.js"):  # whatever a module imports is there
        for name in re.findall(r'from "\./([^"]+)"', script.read_text()):
            assert (page / name).is_file(), f"{script.name} imports {name}"


def test_the_command_says_how_to_open_it(made, tmp_path, capsys):
    out = tmp_path / "page"
    assert main(["export", str(made / "net"), "--to", "web", "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{out}: net \(int8\), 0\.\d MB", said[0])
    assert said[1].startswith(f"python -m http.server --bind 127.0.0.1 --directory {out} ")
    assert main(["export", str(made / "net"), str(made / "packed"), "--to", "onnx", "--out", str(tmp_path / "b")]) == 2
    assert "2 models were given, but a bundle holds one" in capsys.readouterr().err


def test_what_no_page_can_be_made_of_is_refused(made, tmp_path, cycle):
    out = tmp_path / "page"
    with pytest.raises(UserError, match="no model was given"):
        export_web([], out)
    with pytest.raises(UserError, match="two of the models are named 'packed'"):
        export_web([made / "packed", made / "packed"], out)
    with pytest.raises(UserError, match="onnxruntime has no bf16"):
        export_web(made / "net", out, "bf16")
    damaged = tmp_path / "damaged"
    shutil.copytree(made / "packed", damaged)
    (damaged / "items.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"items\.npy is damaged"):
        export_web(damaged, out)
    export_bundle(tiny("sasrec", cycle, tmp_path / "decoder"), tmp_path / "ov", "openvino")
    with pytest.raises(UserError, match=r"holds encoder\.xml, which no browser runs; export the model with --to onnx"):
        export_web(tmp_path / "ov", out)
    assert not out.exists()
    out.mkdir()
    (out / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"holds files but no web\.json"):
        export_web(made / "packed", out)


def test_models_of_other_items_are_refused(made, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(made / "packed", other)
    catalogue = json.loads((other / "catalogue.json").read_text())
    (other / "catalogue.json").write_text(json.dumps(catalogue | {"text": ["x"] * len(catalogue["text"])}))
    manifest = json.loads((other / "manifest.json").read_text()) | {"name": "other"}
    content = (other / "catalogue.json").read_bytes()
    manifest["files"]["catalogue.json"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="'other' knows other items than 'packed'"):
        export_web([made / "packed", other], tmp_path / "page")
