"""The page's files, where there are any."""

from .conftest import error


def test_its_files_are_sent_and_no_others(house, tmp_path, monkeypatch):
    page = tmp_path / "package" / "page"
    (page / "deep").mkdir(parents=True)
    (page / "index.html").write_text("<h1>Hello</h1>")
    (page / "deep" / "app.js").write_text("1")
    (page.parent / "secret.txt").write_text("no")
    monkeypatch.setattr("slmrec.serving.routes.page.files", lambda name: page.parent)
    with house.open(api_key="key") as client:  # they need no key
        for path, text, kind in (
            ("/", "<h1>Hello</h1>", "text/html"),
            ("/index.html", "<h1>Hello</h1>", "text/html"),
            ("/page/index.html", "<h1>Hello</h1>", "text/html"),
            ("/deep/app.js", "1", "text/javascript"),
            ("/page/deep/app.js", "1", "text/javascript"),
        ):
            response = client.get(path)
            assert (response.status_code, response.text) == (200, text)
            assert response.headers["content-type"].startswith(kind)
        key = {"X-API-Key": "key"}
        for path in ("/page/../secret.txt", "/page/%2e%2e/secret.txt", "/page//secret.txt", "/secret.txt", "/page/"):
            response = client.get(path, headers=key)
            assert (response.status_code, error(response)) == (404, "not_found")
        assert client.get("/?file=secret.txt&file=/etc/passwd").text == "<h1>Hello</h1>"


def test_without_a_page_the_server_says_what_it_is(house, tmp_path, monkeypatch):
    monkeypatch.setattr("slmrec.serving.routes.page.files", lambda name: tmp_path / "nothing")
    with house.open() as client:
        response = client.get("/")
        assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert "/openapi.json" in response.text
