"""The page over the API, in a real browser. Truth: the fake model's formula, and what a reader sees and hears."""

import re

import pytest

from .conftest import serving_api
from .fake_server import FakeServer

HISTORY = ["1", "6", "12", "8", "17"]
START = "#" + "&".join(f"h={item}" for item in HISTORY)
FETCH = ("Failed to load resource",)
"""What Chromium logs by itself of an answer that is an error."""


def listed(page) -> list[str]:
    """Ids of the recommendations, best first, once they have settled."""
    page.wait_for_selector("#list:not([aria-busy]) .row:not(.blank)")
    return page.eval_on_selector_all("#list > .row", "rows => rows.map(row => row.dataset.id)")


def explained(page) -> list[str]:
    """The reasons given, once they are there."""
    page.wait_for_function("() => [...document.querySelectorAll('.because')].every(line => line.textContent.trim())")
    return page.locator(".because").all_inner_texts()


def history(page) -> list[str]:
    """Titles of the timeline, oldest first."""
    return page.eval_on_selector_all(".event .title", "all => all.map(one => one.firstChild.textContent)")


def best(fake: FakeServer, events: list[str], deny: tuple[str, ...] = (), genres=None, model="student") -> list[str]:
    """What the formula recommends."""
    return [item["item_id"] for item in fake.models[model].recommend(events, 10, list(deny), genres)]


def settled(page, change) -> list[str]:
    """Make a change and give the list that follows from it, not the reasons that may still be coming for the last."""

    def lists(response) -> bool:
        return response.url.endswith("/recommend") and not response.request.post_data_json.get("explain")

    with page.expect_response(lists):
        change()
    page.wait_for_function("() => !document.querySelector('#list').classList.contains('stale')")
    return listed(page)


def test_titles_are_found_and_picked_with_the_keyboard(open_page, api, fake):
    page = open_page(api)
    page.wait_for_selector(".example")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("star")
    page.wait_for_selector("#found [aria-selected=true]")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#search", "aria-activedescendant") == "found-1"
    assert page.inner_text("#found-1 .title") == "Stargate 1994"
    assert settled(page, lambda: page.keyboard.press("Enter")) == best(fake, ["10"])
    assert history(page) == ["Stargate"]
    assert page.input_value("#search") == ""
    searches = [path for _, path, _ in fake.asked if path == "/items"]
    page.keyboard.type("alien", delay=20)
    page.wait_for_selector("#found-0")
    assert len([path for _, path, _ in fake.asked if path == "/items"]) == len(searches) + 1  # once the typing paused
    page.keyboard.press("Escape")
    assert page.is_hidden("#found")
    page.fill("#search", "nothing like it")
    page.wait_for_selector("#found .none")
    assert page.inner_text("#found-count") == "No title found."


def test_the_list_is_the_models_and_says_why(open_page, api, fake):
    page = open_page(api + START)
    assert listed(page) == best(fake, HISTORY)
    top = fake.models["student"].recommend(HISTORY, 10, [], None)
    assert page.locator(".score").all_text_contents() == [f"score {item['score']:.2f}" for item in top]
    # Alien shares its group with Star Wars (third from the end) and The Empire Strikes Back (second from the end).
    assert explained(page)[0] == "Because you chose The Empire Strikes Back and Star Wars"
    page.click(".row:nth-child(1) .why")
    page.wait_for_selector(".bars")
    given = fake.models["student"].contributions(HISTORY, listed(page)[0])
    expected = [f"{one['contribution']:+.2f}".replace("-", "−") for one in given]
    expected = ["0.00" if words[1:] == "0.00" else words for words in expected]
    assert page.locator(".bars .number").all_inner_texts() == expected
    assert page.get_attribute(".row:nth-child(1) .why", "aria-expanded") == "true"
    settled(page, lambda: page.click(".details .chips button >> nth=0"))
    assert len(history(page)) == 6
    assert re.fullmatch(r"1\.5 ms in the model, .* ms in all", page.inner_text("#time"))


def test_the_history_is_reordered_by_keys_and_buttons(open_page, api, fake):
    page = open_page(api + START)
    before = listed(page)
    hears(page, "10 recommendations, first ")
    page.focus(".event:nth-child(5) [data-does=earlier]")
    scores = page.locator(".score").all_inner_texts()
    after = settled(page, lambda: page.keyboard.press("ArrowUp"))
    assert after == best(fake, ["1", "6", "12", "17", "8"])
    assert page.locator(".score").all_inner_texts() != scores
    assert history(page)[3] == "Emma"
    focused = "document.activeElement.closest('.event')?.querySelector('.title').firstChild.textContent"
    assert page.evaluate(focused) == "Emma"
    hears(page, "Emma (1996) is now 4 of 5.")
    moved = settled(page, lambda: page.click(".event:nth-child(1) [data-does=later]"))
    assert moved == best(fake, ["6", "1", "12", "17", "8"])
    assert settled(page, lambda: page.click(".event:nth-child(3) [data-does=remove]")) == best(
        fake, ["6", "1", "17", "8"]
    )
    for undone in (["6", "1", "12", "17", "8"], ["1", "6", "12", "17", "8"], HISTORY):
        assert settled(page, lambda: page.keyboard.press("Control+z")) == best(fake, undone)
    page.reload()
    assert listed(page) == before  # the address keeps it


def hears(page, words: str) -> None:
    """Wait until a screen reader is told something that starts with these words."""
    page.wait_for_function("words => document.querySelector('#announce').textContent.startsWith(words)", arg=words)


def test_changes_are_announced(open_page, api):
    page = open_page(api + START)
    listed(page)
    hears(page, "10 recommendations, first Alien (1979).")
    page.click(".row:nth-child(1) .add")
    page.wait_for_function("() => document.querySelectorAll('.event').length === 6")
    hears(page, "10 recommendations, first Blade Runner (1982). Since your last change: ")


@pytest.mark.parametrize("phone", [False, True])
def test_the_history_is_reordered_by_dragging(open_page, api, fake, phone):
    page = open_page(api + START, viewport={"width": 360 if phone else 1280, "height": 800})
    listed(page)
    page.locator(".event").last.scroll_into_view_if_needed()
    grip, target = page.locator(".event > .grip").nth(4).bounding_box(), page.locator(".event").nth(3).bounding_box()
    page.mouse.move(grip["x"] + 8, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(target["x"] + 30, target["y"] + 12, steps=4)
    assert settled(page, page.mouse.up) == best(fake, ["1", "6", "12", "17", "8"])
    page.mouse.move(grip["x"] + 8, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(target["x"] + 30, target["y"] + 12, steps=4)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert history(page)[3:] == ["Emma", "The Empire Strikes Back"]  # given up: nothing changed


def test_order_is_tried_and_what_moved_is_marked(open_page, api, fake):
    page = open_page(api + START)
    own = listed(page)
    turned = settled(page, lambda: page.click("#reverse"))
    assert turned == best(fake, HISTORY[::-1]) != own
    marks = page.locator(".move").all_text_contents()
    for place, (item, mark) in enumerate(zip(turned, marks, strict=True)):
        rose = own.index(item) - place if item in own else None
        assert mark == ("newnew in the list" if rose is None else "" if rose == 0 else mark)
        if rose:
            assert mark.endswith(f"{'up' if rose > 0 else 'down'} {abs(rose)}")
    moved = sum(item in own and own.index(item) != place for place, item in enumerate(turned))
    new = len(set(turned) - set(own))
    assert (
        page.inner_text("#change")
        == f"Against your order: {moved} of 10 titles moved, {new} {'is' if new == 1 else 'are'} new."
    )
    assert settled(page, lambda: page.click("#restore")) == own
    assert page.is_hidden("#restore")
    settled(page, lambda: page.click("#shuffle"))
    assert sorted(history(page)) == sorted(
        ["Toy Story", "Star Wars", "Pulp Fiction", "The Empire Strikes Back", "Emma"]
    )
    assert page.is_visible("#restore")


def test_items_are_denied_and_lists_filtered(open_page, api, fake):
    page = open_page(api + START)
    first = listed(page)[0]
    assert settled(page, lambda: page.click(".row:nth-child(1) .not")) == best(fake, HISTORY, (first,))
    assert page.inner_text("#denied .chips") == "Alien (1979)"
    comedies = settled(page, lambda: page.select_option("#filters select", "Comedy"))
    assert comedies == best(fake, HISTORY, (first,), ["Comedy"])
    assert len(comedies) == 3
    settled(page, lambda: page.click("#denied button"))
    assert page.is_hidden("#denied")
    assert settled(page, lambda: page.select_option("#filters select", "")) == best(fake, HISTORY)


def test_nothing_left_is_said(open_page, api):
    page = open_page(api + START)
    listed(page)
    page.select_option("#filters select", "Horror")
    page.wait_for_function("() => document.querySelectorAll('.row').length === 1")
    hears(page, "1 recommendation, first Alien (1979).")
    page.click(".row .not")
    hears(page, "Alien (1979) will not be shown again.")
    page.wait_for_selector("text=Nothing is left to recommend")
    page.wait_for_function("() => document.querySelector('#announce').textContent.endsWith('left to recommend.')")


def test_models_stand_side_by_side(open_page, api, fake):
    page = open_page(api + START)
    listed(page)
    page.focus("#tab-list")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-compare", "aria-selected") == "true"
    page.wait_for_function("() => document.querySelectorAll('.brief li').length === 30")
    for column, model in zip(page.locator(".column").all(), ("student", "teacher", "sasrec"), strict=True):
        titles = column.locator(".title").all_inner_texts()
        texts = [fake.models[model].films[item][0] for item in best(fake, HISTORY, model=model)]
        for shown, text in zip(titles, texts, strict=True):
            assert re.sub(r"^The | \d{4}$", "", shown) in text
        costs = dict(zip(column.locator("dt").all_inner_texts(), column.locator("dd").all_inner_texts(), strict=True))
        assert costs["Layers"] == {"student": "4", "teacher": "8", "sasrec": "2"}[model]
        assert costs["Parameters"] == {"student": "14.2 M", "teacher": "28.3 M", "sasrec": "7.1 M"}[model]
        assert costs["This list took"] == "1.5 ms"
    shared = len(set(best(fake, HISTORY)) & set(best(fake, HISTORY, model="sasrec")))
    assert page.locator(".agrees").nth(2).inner_text() == f"{shared} of 10 titles stand in student's list too."
    assert (
        page.locator(".column:nth-child(3) .there").all_inner_texts()[0]
        == f"#{best(fake, HISTORY).index('16') + 1} there"
    )


def test_another_model_is_chosen(open_page, api, fake):
    page = open_page(api + START)
    listed(page)
    assert settled(page, lambda: page.select_option("#model", "sasrec")) == best(fake, HISTORY, model="sasrec")
    assert "2 layers" in page.inner_text("#facts")
    page.reload()
    assert listed(page) == best(fake, HISTORY, model="sasrec")


def test_an_address_changed_in_the_open_page_is_followed(open_page, api, fake):
    page = open_page(api + START, expected=("Failed to load",))
    listed(page)
    assert settled(page, lambda: page.goto(f"{api}#h=6&h=7&m=sasrec")) == best(fake, ["6", "7"], model="sasrec")
    assert page.input_value("#model") == "sasrec"
    assert settled(page, lambda: page.keyboard.press("Control+z")) == best(fake, HISTORY, model="sasrec")
    page.evaluate("location.hash = '#h=6&h=no-such'")
    page.wait_for_selector("#banner:has-text('1 title of the address is not in this catalogue')")
    assert listed(page) == best(fake, ["6"], model="sasrec")


def test_a_new_item_is_added_by_its_description(open_page, api, fake):
    page = open_page(api + START)
    listed(page)
    page.click("#tab-new")
    page.fill("#new-text", "Space Heist (2024) | Sci-Fi")
    page.fill("#new-id", "n/1")
    page.click("#view-new [type=submit]")
    page.wait_for_selector("text=Whom it suits")
    assert [body for method, path, body in fake.asked if (method, path) == ("POST", "/items")] == [
        {"items": [{"item_id": "n/1", "text": "Space Heist (2024) | Sci-Fi"}]}
    ]
    assert page.locator("#view-new tbody tr").all_inner_texts() == ["u7\t1\t2.50", "u2\t4\t1.25"]
    page.click("#tab-list")
    assert "n/1" in listed(page)
    page.click("#tab-new")
    page.click("text=Withdraw it")
    page.wait_for_selector("text=is withdrawn")
    page.click("#tab-list")
    assert "n/1" not in listed(page)


def test_models_that_know_ids_alone_say_so(open_page, api, fake, monkeypatch):
    answer = fake.answer

    def without(method, path, query, body):
        status, value = answer(method, path, query, body)
        if path == "/models":
            value = value | {"models": [facts | {"adds_items": False} for facts in value["models"]]}
        return status, value

    monkeypatch.setattr(fake, "answer", without)
    page = open_page(api)
    page.click("#tab-new")
    assert "None of the served models takes new items" in page.inner_text("#view-new")


def test_an_example_starts_a_history(open_page, api, fake):
    page = open_page(api)
    page.wait_for_selector(".example")
    assert page.locator(".example .name").all_inner_texts()[1] == "An evening with the children"
    assert settled(page, lambda: page.click(".example >> nth=1")) == best(fake, ["1", "2", "3", "4"])


def test_an_unknown_catalogue_makes_its_own_examples(open_page, api, fake):
    fake.models = {
        "student": type(fake.models["student"])([(f"p{i}", f"pink soap number {i}", i % 3) for i in range(40)])
    }
    page = open_page(api)
    page.wait_for_selector(".example")
    assert page.locator(".example .name").all_inner_texts() == [f"Around Pink soap number {i}" for i in (0, 9, 18, 27)]
    assert page.is_hidden("#tab-compare")


def test_catalogue_text_is_text(open_page, api):
    page = open_page(api + "#h=15")
    page.wait_for_selector(".event")
    assert history(page) == ["Amélie <b>& co</b>"]
    assert page.locator(".event b").count() == 0


def test_ids_of_the_address_that_nobody_knows_are_left_out(open_page, api, fake):
    page = open_page(api + "#h=1&h=gone&h=6", expected=FETCH)
    assert listed(page) == best(fake, ["1", "6"])
    assert page.inner_text("#banner") == "1 title of the address is not in this catalogue."


def test_a_server_that_went_away_is_said_and_asked_again(open_page, fake):
    with serving_api(fake) as address:
        page = open_page(address + START, expected=("ERR_CONNECTION_REFUSED", *FETCH))
        shown = listed(page)
        explained(page)
    page.click("#reverse")
    page.wait_for_selector("#banner [role=alert]")
    assert "The server does not answer." in page.inner_text("#banner")
    assert page.locator(".row").count() == len(shown)  # what was there stays


def test_a_busy_server_is_said_and_asked_again(open_page, api, fake):
    page = open_page(api + START, expected=FETCH)
    listed(page)
    explained(page)
    fake.trouble = (503, "too many requests at once")
    page.click("#reverse")
    page.wait_for_selector("text=too many requests at once")
    fake.trouble = None
    assert settled(page, lambda: page.click("#banner button")) == best(fake, HISTORY[::-1])
    assert page.is_hidden("#banner")


def test_a_server_without_a_model_is_said(open_page, api, fake):
    fake.models = {}
    page = open_page(api)
    page.wait_for_selector("text=No model to ask")
    assert page.is_disabled("#search")
    fake.models = FakeServer().models
    page.click("text=Try again")
    page.wait_for_selector(".example")
    assert page.is_enabled("#search")


def test_a_key_is_asked_for_and_sent(open_page, api, fake):
    fake.key = "sesame"
    page = open_page(api + START, expected=FETCH)
    page.fill("#key-value", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#key-value').value === ''")  # taken, and asked again
    page.fill("#key-value", "sesame")
    page.click("#key .main")
    assert listed(page) == best(fake, HISTORY)
