"""The other views of the page: code cards, comparing, items, jobs, keys, errors."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.web.conftest import NewPage
from tests.media_maker import make_sound, tone

pytestmark = pytest.mark.browser

KEEP_EVENT_SOURCES = """
    window.sources = [];
    window.EventSource = class extends EventSource {
        constructor(...about) { super(...about); window.sources.push(this); }
    };
"""


def colour(page: Page, selector: str) -> str:
    """Return the colour of the first code there."""
    return str(page.locator(selector).first.evaluate("e => e.style.getPropertyValue('--colour')"))


def test_a_code_opens_its_card_and_has_one_colour(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?view=items")
    code = page.locator(".item .code").first
    label = code.get_attribute("aria-label") or ""
    code.click()
    card = page.get_by_role("dialog")
    title = label.rsplit(",", 1)[0].replace(", ", " · ")  # "Layer 1 · code 7"
    expect(card.locator("h2")).to_have_text(title)
    expect(card.locator(".counts li").first).to_have_text(re.compile(r"^\d+ (second|word)s?$"))
    assert colour(page, ".card .swatch") == colour(page, ".item .code")
    same = page.locator(f'.item .code[aria-label^="{label.rsplit(",", 1)[0]},"]')
    assert len({one.evaluate("e => e.style.cssText") for one in same.all()}) == 1
    expect(card.locator(".places li").first).to_be_visible()
    expect(card.get_by_text("audio and video 40 %")).to_be_visible()
    companion = card.locator(".chip").first
    named = companion.text_content() or ""
    companion.click()
    expect(card.locator("h2")).to_have_text(named.replace(", ", " · "))
    expect(page).to_have_url(re.compile(r"code=1\.\d+$"))
    page.reload()
    expect(page.get_by_role("dialog").locator("h2")).to_have_text(named.replace(", ", " · "))
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"view=items$"))


def test_a_place_on_a_card_is_played_from_its_second(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?view=items")
    page.locator(".item .code").first.click()
    place = page.locator(".card .places li").first
    place.get_by_role("button").last.click()
    expect(place.locator("video, audio")).to_have_count(1)


def test_two_items_are_compared_by_the_second(
    server: str, new_page: NewPage, clips: dict[str, Path]
) -> None:
    a, b, *_ = clips
    page = new_page(f"{server}/?like={a}")
    page.locator(".result").first.get_by_role("link", name="Compare").click()
    expect(page.get_by_label("Second", exact=True)).to_be_focused()
    page.get_by_label("First", exact=True).select_option(a)
    page.get_by_label("Second", exact=True).select_option(b)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("canvas")).to_have_count(4)
    heat = page.locator("canvas").first
    told = page.locator(".heat-told").first
    expect(told).to_have_text(re.compile(rf"^{a} 0:0\d and {b} 0:0\d: -?\d\.\d\d, best match$"))
    heat.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowUp")
    expect(told).to_have_text(re.compile(rf"^{a} 0:00 and {b} 0:00:"))
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile(rf"^{a} 0:00 and {b} 0:01:"))
    answer = page.request.post(f"{server}/compare", data={"a": {"item": a}, "b": {"item": b}})
    maps = {(own["a"], own["b"]): own["cosines"] for own in answer.json()["maps"]}
    cosine = maps["video", "video"][0][1]
    expect(told).to_contain_text(f": {cosine:.2f}")
    page.keyboard.press("Enter")
    expect(page.locator("video")).to_have_count(1)


def test_an_item_is_compared_with_a_sentence(
    server: str, new_page: NewPage, clips: dict[str, Path]
) -> None:
    page = new_page(f"{server}/?view=compare&a=item:{next(iter(clips))}&b=text:a+red+ball")
    expect(page.get_by_role("heading", name="“a red ball”")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(2)
    expect(page.locator(".word-row")).to_have_text("aredball")
    expect(page.locator(".heat-told").first).to_have_text(re.compile(r"“a red ball” word \d"))


def test_comparing_with_what_is_not_there_says_so(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?view=compare&a=item:nobody&b=item:said", expected="404")
    expect(page.locator(".notice.bad p")).to_contain_text("'nobody'")
    expect(page.get_by_label("First", exact=True)).to_have_value("nobody")


def test_items_are_added_replaced_and_deleted(server: str, new_page: NewPage) -> None:
    sound = {"name": "hum.wav", "mimeType": "audio/wav"}
    page = new_page(f"{server}/?view=items", expected="409")
    page.get_by_label("Id", exact=True).fill("my hum")
    page.get_by_label("Metadata, as JSON").fill('{"title": "A hum"')
    files = page.get_by_label("Files to add")
    files.set_input_files({**sound, "buffer": make_sound(tone(2, rate=16_000), rate=16_000)})
    assert page.get_by_label("Metadata, as JSON").evaluate("field => field.validity.customError")
    page.get_by_label("Metadata, as JSON").fill('{"title": "A hum"}')
    files.set_input_files({**sound, "buffer": make_sound(tone(2, rate=16_000), rate=16_000)})
    row = page.locator('.item[data-id="my hum"]')
    expect(row.locator("h2")).to_have_text("A hum")
    expect(row.locator(".code")).to_have_count(4)
    expect(page.locator("#status")).to_contain_text("8 items")
    page.get_by_role("link", name="Items").click()  # listed anew
    expect(page.locator(".item")).to_have_count(8)
    page.get_by_label("Id", exact=True).fill("my hum")
    files.set_input_files({**sound, "buffer": make_sound(tone(3, rate=16_000), rate=16_000)})
    page.get_by_role("button", name="Replace").click()
    expect(row.locator(".code")).to_have_count(6)
    row.get_by_role("link", name="More like this").click()
    expect(page.locator(".query .code")).to_have_count(6)  # not what was there before
    page.get_by_role("link", name="Items").click()
    row.get_by_role("button", name="Delete").click()
    page.keyboard.press("Escape")
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    expect(page.locator("#status")).to_contain_text("7 items")
    page.get_by_label("A sentence instead").fill("rain on a roof")
    page.keyboard.press("Enter")
    row = page.locator('.item[data-id="rain on a roof"]')
    expect(row.locator("h2")).to_have_text("rain on a roof")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_items_come_page_by_page(server: str, new_page: NewPage) -> None:
    page = new_page("about:blank")
    page.route("**/items?limit=24*", lambda route: route.continue_(url=_with_limit(route, 4)))
    page.goto(f"{server}/?view=items")
    expect(page.locator(".item:not(.skeleton)")).to_have_count(4)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".item")).to_have_count(7)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def _with_limit(route: Route, limit: int) -> str:
    return re.sub(r"limit=\d+", f"limit={limit}", route.request.url)


def test_a_job_shows_its_progress_and_its_failures(server: str, new_page: NewPage) -> None:
    page = new_page("about:blank")
    page.add_init_script(KEEP_EVENT_SOURCES)
    page.goto(f"{server}/?view=jobs")
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    page.get_by_label("Folder").fill("sounds")
    with page.expect_response(lambda answer: answer.url.endswith("/events")) as events:
        page.get_by_role("button", name="Start indexing").click()
    assert events.value.headers["content-type"].startswith("text/event-stream")
    job = page.locator(".job")
    expect(job.locator(".badge")).to_have_text("finished")
    expect(job).to_contain_text("7 of 7 files: 6 indexed, 1 failed")
    expect(job.locator("progress")).to_have_js_property("value", 7)
    job.get_by_text("1 failure").click()
    expect(job.locator(".failures")).to_contain_text("sounds/broken.wav")
    expect(page.locator("#announce")).to_have_text("Job finished: 6 indexed, 1 failed")
    expect(page.locator("#status")).to_contain_text("13 items")
    closed = "sources.map(source => source.readyState === EventSource.CLOSED)"
    assert page.evaluate(closed) == [True]  # else the browser asks again, for ever
    job.get_by_role("button", name="Remove").click()
    expect(job).to_have_count(0)
    items = page.request.get(f"{server}/items?limit=100").json()["items"]
    for item in items:
        if item["id"].startswith("sounds:"):
            page.request.delete(f"{server}/items/{item['id']}")


def test_a_job_that_is_refused_says_why(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?view=jobs", expected="422")
    page.get_by_label("Folder").fill("../elsewhere")
    page.get_by_role("button", name="Start indexing").click()
    expect(page.locator(".notice.bad p")).to_contain_text("'../elsewhere'")


def test_a_service_that_is_gone_is_told_of(server: str, new_page: NewPage) -> None:
    page = new_page(server, expected="ERR_CONNECTION_REFUSED")
    expect(page.locator("#status")).to_have_text(re.compile(r"ready · \d+ items"))
    page.route("**/search", lambda route: route.abort("connectionrefused"))
    page.get_by_label("Search query").fill("a dog")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.bad h2")).to_have_text("No connection")


def test_the_head_says_that_a_server_is_gone_or_hangs(server: str, new_page: NewPage) -> None:
    page = new_page("about:blank", expected="ERR_CONNECTION_REFUSED")
    page.clock.install()
    page.goto(server)
    expect(page.locator("#status")).to_have_text(re.compile("ready"))
    page.route("**/model", lambda route: None)  # never answered
    page.clock.run_for(15_000)
    page.clock.run_for(6_000)
    expect(page.locator("#status")).to_have_text("no connection")
    page = new_page(server, expected="ERR_CONNECTION_REFUSED")
    expect(page.locator("#status")).to_have_text(re.compile("ready"))
    page.route("**/*", lambda route: route.abort("connectionrefused"))
    page.get_by_label("Search query").fill("a dog")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("no connection")  # at once


def test_forms_that_cannot_work_say_why(
    server: str, guarded_server: tuple[str, str], new_page: NewPage
) -> None:
    page = new_page(f"{server}/?")
    page.get_by_role("button", name="Search", exact=True).click()
    said = "field => field.validationMessage"
    assert page.get_by_label("Search query").evaluate(said).startswith("Enter a sentence")
    page.get_by_role("link", name="Items").click()
    page.get_by_role("button", name="Add sentence").click()
    field = page.get_by_label("A sentence instead")
    assert field.evaluate(said).startswith("Enter a sentence")
    page.get_by_role("link", name="Compare").first.click()
    page.get_by_role("button", name="Compare", exact=True).click()
    assert page.get_by_label("First", exact=True).evaluate("field => field.validity.valueMissing")
    address, key = guarded_server
    other = new_page("about:blank")
    other.context.add_cookies([{"name": "srcid_key", "value": key, "url": address}])
    other.goto(f"{address}/?view=jobs")
    expect(other.locator(".notice.warn")).to_contain_text("SRCID_MEDIA_ROOT")
    expect(other.get_by_role("button", name="Start indexing")).to_have_count(0)


def test_messages_name_what_the_page_has(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?view=items", expected="409")
    page.get_by_label("Id", exact=True).fill("said")
    page.get_by_label("A sentence instead").fill("rain")
    page.get_by_role("button", name="Add sentence").click()
    expect(page.locator(".doing")).to_contain_text("exists: choose Replace, delete it first")
    page = new_page(f"{server}/?view=compare&a=item:nobody&b=item:said", expected="404")
    expect(page.locator(".notice.bad p")).to_contain_text("Items shows all of them")


def test_a_search_that_takes_long_shows_that_it_runs(server: str, new_page: NewPage) -> None:
    page = new_page("about:blank")
    held: list[Route] = []
    page.route("**/search", lambda route: held.append(route))
    page.goto(f"{server}/?q=a+dog")
    expect(page.locator(".found")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".result.skeleton")).to_have_count(8)
    held[0].continue_()
    expect(page.locator(".result.skeleton")).to_have_count(0)
    expect(page.locator(".result").first).to_be_visible()


def test_a_key_is_asked_for_and_kept(guarded_server: tuple[str, str], new_page: NewPage) -> None:
    address, key = guarded_server
    page = new_page(address, expected="401")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("this needs an API key")
    page.get_by_role("textbox", name="Key").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("unknown API key")
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#status")).to_have_text(re.compile("ready · 0 items"))
    expect(page.get_by_role("heading", name="The index is empty")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="The index is empty")).to_be_visible()


def test_without_a_key_the_page_says_what_is_missing(
    guarded_server: tuple[str, str], new_page: NewPage
) -> None:
    page = new_page(guarded_server[0], expected="401")
    page.get_by_role("button", name="Not now").click()
    expect(page.locator(".notice.bad h2")).to_have_text("Unauthorized")
    expect(page.locator("#status")).to_have_text("unauthorized")
    page.get_by_role("button", name="Enter API key").click()
    expect(page.get_by_role("dialog")).to_be_visible()
