"""How the page looks and is read out, in each state, light and dark, on a phone and on a desktop. Truth: axe-core's
rules for WCAG 2.1 AA, and that nothing is wider than the screen or jumps."""

import re
from collections.abc import Callable

import pytest

from .conftest import PAGE

START = "#h=1&h=6&h=12&h=8&h=17"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
CONTRAST = {"runOnly": ["color-contrast"]}
SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 900}}
SHIFT = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""


def searching(page) -> None:
    page.fill("#search", "st")
    page.wait_for_selector("#found-0")


def explaining(page) -> None:
    page.click("#reverse")
    page.click(".row:nth-child(2) .why")
    page.wait_for_selector(".bars")
    page.click(".row:nth-child(4) .not")
    page.wait_for_selector("#denied .chips")


def comparing(page) -> None:
    page.click("#tab-compare")
    page.wait_for_function("() => document.querySelectorAll('.brief li').length === 30")


def adding(page) -> None:
    page.click("#tab-new")
    page.fill("#new-text", "Space Heist (2024) | Sci-Fi")
    page.click("#view-new [type=submit]")
    page.wait_for_selector("text=Whom it suits")


STATES: dict[str, tuple[str, Callable]] = {
    "empty": ("", lambda page: page.wait_for_selector(".example")),
    "searching": (START, searching),
    "explaining": (START, explaining),
    "comparing": (START, comparing),
    "adding": (START, adding),
}


@pytest.mark.parametrize(("size", "scheme", "rules"), [("phone", "light", RULES), ("desktop", "dark", CONTRAST)])
def test_every_state_is_accessible_and_fits(open_page, api, size, scheme, rules):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(
        "about:blank", viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce", has_touch=size == "phone"
    )
    for state, (start, reach) in STATES.items():
        page.goto("about:blank")  # an address that differs behind the # alone is no new page
        page.goto(api + start)
        if start:
            page.wait_for_selector("#list:not([aria-busy]) .row:not(.blank)")
        reach(page)
        found = axe.run(page, options=rules)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide), f"{state} is wider than the screen"


def test_errors_are_accessible_too(open_page, api, fake):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    fake.trouble = (503, "too many requests at once")
    page = open_page(api + START, expected=("Failed to load",), color_scheme="dark")
    page.wait_for_selector("[role=alert]")
    assert axe.run(page, options=RULES).violations_count == 0
    fake.key = "sesame"
    page.reload()
    page.wait_for_selector("#key[open]")
    assert axe.run(page, options=RULES).violations_count == 0


@pytest.mark.parametrize("size", SIZES)
def test_nothing_jumps_while_it_loads_or_changes(open_page, api, size):
    page = open_page("about:blank", viewport=SIZES[size])
    page.add_init_script(f"({SHIFT})()")
    page.goto(api + START)
    page.wait_for_selector("#list:not([aria-busy]) .row:not(.blank)")
    page.wait_for_function("() => [...document.querySelectorAll('.because')].every(line => line.textContent.trim())")
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifted") < 0.1  # what Core Web Vitals call good
    rows = page.eval_on_selector_all(".row", "rows => rows.map(row => row.offsetHeight)")
    if size == "desktop":
        assert len(set(rows)) == 1


def test_targets_are_large_enough_for_a_thumb(open_page, api):
    page = open_page(api + START, viewport=SIZES["phone"], has_touch=True, is_mobile=True)
    page.wait_for_selector(".row:not(.blank)")
    sizes = page.eval_on_selector_all(
        "button:not([hidden]), select", "all => all.filter(one => one.offsetWidth).map(one => one.offsetHeight)"
    )
    assert min(sizes) >= 42


def test_no_inline_code_and_a_strict_policy():
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', index).group(1)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]*\s(on\w+|style)=", index)
    assert re.findall(r"<script(?![^>]*\ssrc=)", index) == []
    for file in PAGE.iterdir():
        assert not re.search(
            r"innerHTML|document\.write|\beval\(|https?://(?!www\.w3\.org)", file.read_text(encoding="utf-8")
        )
