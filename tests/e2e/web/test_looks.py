"""How the page looks and reads: narrow, dark, with little motion, to a screen reader."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.web.conftest import NewPage

pytestmark = pytest.mark.browser

VIEWS = {
    "search": "?q=a+red+circle",
    "welcome": "?",
    "items": "?view=items",
    "compare": "?view=compare&a=item:said&b=item:red-circle-low",
    "jobs": "?view=jobs",
    "card": "?view=items&code=0.7",
}
READABLE = 4.5  # contrast of text (WCAG 2.2, AA)
VISIBLE = 3.0  # of borders of fields, and the focus
PAIRS = [
    ("--ink", "--paper", READABLE),
    ("--ink", "--surface", READABLE),
    ("--ink", "--sunken", READABLE),
    ("--ink", "--accent-soft", READABLE),
    ("--ink", "--warn-soft", READABLE),
    ("--ink", "--bad-soft", READABLE),
    ("--ink-soft", "--paper", READABLE),
    ("--ink-soft", "--surface", READABLE),
    ("--ink-soft", "--sunken", READABLE),
    ("--accent", "--paper", READABLE),
    ("--accent", "--surface", READABLE),
    ("--on-accent", "--accent", READABLE),
    ("--good", "--sunken", READABLE),
    ("--bad", "--surface", READABLE),
    ("--bad", "--bad-soft", READABLE),
    ("--warn", "--warn-soft", READABLE),
    ("--line-strong", "--surface", VISIBLE),
]


def settle(page: Page) -> None:
    """Wait until the view has its content."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("#main > *").first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_a_narrow_screen(server: str, new_page: NewPage, view: str) -> None:
    page = new_page(f"{server}/{VIEWS[view]}", viewport={"width": 360, "height": 740})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    too_wide = """[...document.querySelectorAll('main *')]
        .filter(element => element.getBoundingClientRect().right > 361).length"""
    assert page.evaluate(too_wide) == 0


@pytest.mark.parametrize(
    ("width", "height", "columns", "shown"), [(1280, 1024, 4, 7), (360, 800, 2, 4)]
)
def test_results_stand_in_a_grid(
    server: str, new_page: NewPage, width: int, height: int, columns: int, shown: int
) -> None:
    """Of seven results; the eighth place of two rows of four is free."""
    page = new_page(f"{server}/?q=a+red+circle", viewport={"width": width, "height": height})
    settle(page)
    left = {own.bounding_box()["x"] for own in page.locator(".result").all()}
    assert len(left) == columns
    boxes = [own.bounding_box() for own in page.locator(".result .score:first-child").all()]
    assert sum(box["y"] + box["height"] <= height for box in boxes) >= shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(server: str, new_page: NewPage, view: str, scheme: str) -> None:
    page = new_page("about:blank", color_scheme=scheme, bypass_csp=True)  # axe is a script
    page.goto(f"{server}/{VIEWS[view]}")
    settle(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_codes_of_two_rows_have_two_names(server: str, new_page: NewPage) -> None:
    """Also where a layer has several rows, as in a checkpoint with residual quantization."""
    page = new_page("about:blank")
    model = page.request.get(f"{server}/model").json()
    one_layer = json.dumps({**model, "code_layers": [1, 1]})
    page.route("**/model", lambda route: route.fulfill(body=one_layer))
    page.goto(f"{server}/?view=items")
    settle(page)
    names = [own.get_attribute("aria-label") for own in page.locator(".item .strip button").all()]
    assert {(name or "").split(", code")[0] for name in names} == {
        "Layer 1, row 1",
        "Layer 1, row 2",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(server: str, new_page: NewPage, scheme: str) -> None:
    page = new_page(server, color_scheme=scheme)
    settle(page)
    tokens = {name for pair in PAIRS for name in pair[:2]}
    colours = page.evaluate(
        """names => Object.fromEntries(names.map(name =>
            [name, getComputedStyle(document.documentElement).getPropertyValue(name).trim()]))""",
        sorted(tokens),
    )
    dark = luminance(colours["--paper"]) < luminance(colours["--ink"])
    assert dark == (scheme == "dark")
    for text, ground, least in PAIRS:
        assert contrast(colours[text], colours[ground]) >= least, (text, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_nothing_moves_where_that_is_not_wanted(server: str, new_page: NewPage) -> None:
    page = new_page(server, reduced_motion="reduce")
    settle(page)
    moving = """[...document.querySelectorAll('*')].filter(element => {
        const style = getComputedStyle(element);
        return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
    }).length"""
    assert page.evaluate(moving) == 0


@pytest.mark.parametrize("view", VIEWS)
def test_everything_that_can_be_used_has_a_name(server: str, new_page: NewPage, view: str) -> None:
    page = new_page(f"{server}/{VIEWS[view]}")
    settle(page)
    nameless = """[...document.querySelectorAll('button, a, input, select, textarea, canvas, img')]
        .filter(element => !(element.getAttribute('aria-label') || element.textContent.trim()
            || element.labels?.length || element.hasAttribute('alt'))).map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.locator("main h1").count() == 1
    repeated = """(() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
        return ids.filter((id, at) => ids.indexOf(id) !== at); })()"""
    assert page.evaluate(repeated) == []


def test_the_page_asks_nothing_of_other_machines(server: str, new_page: NewPage) -> None:
    page = new_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view in VIEWS.values():
        page.goto(f"{server}/{view}")
        settle(page)
    assert len(asked) > 30
    assert all(url.startswith(f"{server}/") for url in asked)


def test_the_policy_is_in_force(server: str, new_page: NewPage) -> None:
    page = new_page(server, expected="Content Security Policy")
    settle(page)
    page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = "document.title = 'taken'";
            document.body.append(script);
        }"""
    )
    assert page.title() == "SRCID"
