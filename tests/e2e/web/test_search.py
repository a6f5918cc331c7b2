"""Searching on the page: by a sentence, a clip and an item, with the mouse and without."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.web.conftest import EVIL, NewPage
from tests.media_maker import make_sound, tone

pytestmark = pytest.mark.browser


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until something holds. (The page's policy forbids the browser to wait for it.)"""
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("waited ten seconds")


def test_a_sentence_finds_and_stands_in_the_address(server: str, new_page: NewPage) -> None:
    page = new_page(server)
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Search query").fill("a dog barks")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".result")).not_to_have_count(0)
    expect(page.locator("#announce")).to_have_text(re.compile(r"\d+ results?"))
    expect(page).to_have_url(f"{server}/?q=a+dog+barks")
    expect(page).to_have_title("a dog barks · SRCID")
    # As codes: two rows of three words.
    expect(page.locator(".query .code")).to_have_count(6)
    expect(page.locator(".query .word-row")).to_have_text("adogbarks")
    page.get_by_label("Search query").fill("waves")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server}/?q=waves")
    page.go_back()
    expect(page.get_by_label("Search query")).to_have_value("a dog barks")
    expect(page.locator(".query h2")).to_have_text("“a dog barks”")


def test_a_linked_search_is_shown_with_its_options(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+dog&targets=text&score=max&k=20&without=rain")
    expect(page.locator(".result")).to_have_count(2)
    expect(page.get_by_label("Text", exact=True)).to_be_checked()
    expect(page.get_by_label("Compare by")).to_have_value("max")
    expect(page.get_by_label("without")).to_have_value("rain")
    page.get_by_label("Text", exact=True).uncheck()
    expect(page).to_have_url(re.compile(r"\?q=a\+dog&without=rain&score=max&k=20$"))
    expect(page.locator(".result")).to_have_count(7)


def test_without_changes_what_is_asked(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+dog")
    expect(page.locator(".result").first).to_be_visible()
    page.get_by_label("without").fill("a cat")
    with page.expect_request("**/search") as sent:
        page.keyboard.press("Enter")
    assert sent.value.post_data_json["exclude"] == ["a cat"]


def test_what_matched_is_played_and_the_curve_shows_where(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+red+circle&targets=video")
    card = page.locator(".result").first
    jump = card.locator(".primary")
    second = int((jump.text_content() or "")[-2:])
    bar = card.locator(".bar.best")
    expect(bar).to_have_attribute(
        "aria-label", re.compile(f"^Play from 0:0{second}, .* best match")
    )
    with page.expect_response(lambda answer: answer.url.endswith("/media")) as media:
        jump.click()
    assert media.value.status == 206
    player = card.locator("video")
    until(page, lambda: second < player.evaluate("own => own.currentTime") < second + 2)
    started = player.evaluate("own => own.played.start(0)")
    assert max(0, second - 0.7) <= started <= max(0.2, second - 0.3)  # a moment before
    card.get_by_role("button", name=re.compile("^Play from 0:03")).click()
    until(page, lambda: player.evaluate("own => own.currentTime") > 3)
    head = card.locator(".playhead")
    expect(head).to_be_visible()
    until(page, lambda: 75 <= float(head.evaluate("head => parseFloat(head.style.left)")) <= 100)
    # of the width: in the fourth second of four


def test_only_one_player_plays_at_a_time(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+red+circle&targets=video")
    for number in range(2):
        page.locator(".result .cover").first.click()
        expect(page.locator("video")).to_have_count(number + 1)
        expect(page.locator("video").nth(number)).to_have_js_property("paused", False)
    first = page.locator("video").first
    expect(first).to_have_js_property("paused", True)
    expect(first).to_have_js_property("ended", False)


def test_more_like_this_leaves_the_item_itself_out(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+red+circle&targets=video")
    card = page.locator(".result").first
    name = card.locator("h3").text_content()
    card.get_by_role("link", name="Similar").click()
    expect(page).to_have_url(f"{server}/?like={name}")
    expect(page.locator(".query h2")).to_have_text(name or "")
    expect(page.locator(".result").first).to_be_visible()
    assert name not in page.locator(".result h3").all_text_contents()


def test_a_clip_is_searched_by(server: str, new_page: NewPage, clips: dict[str, Path]) -> None:
    name, path = next(iter(clips.items()))
    page = new_page(server)
    page.get_by_label("Search by clip, sound or picture").set_input_files(path)
    expect(page.locator(".query h2")).to_have_text(path.name)
    expect(page.locator(".query .strip")).to_have_count(2)
    itself = page.locator(".result", has=page.get_by_role("heading", name=name))  # as an item
    expect(itself.locator(".score").first).to_contain_text("1.00")
    page.get_by_label("Sound", exact=True).check()  # the clip stays what is asked
    expect(page).to_have_url(f"{server}/?targets=audio")
    expect(page.locator(".query h2")).to_have_text(path.name)
    expect(page.locator(".result .score").first).to_contain_text("Sound")


def test_a_dropped_and_a_pasted_sound_are_searched_by(server: str, new_page: NewPage) -> None:
    sound = list(make_sound(tone(2, rate=16_000), rate=16_000))
    page = new_page(server)
    expect(page.locator(".tile").first).to_be_visible()
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "hum.wav", {type: "audio/wav"}));
            return transfer;
        }""",
        sound,
    )
    page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop-veil")).to_have_class("drop-veil shown")
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop-veil")).to_have_class("drop-veil")
    expect(page.locator(".query h2")).to_have_text("hum.wav")
    expect(page.locator(".result h3").first).to_be_visible()
    page.get_by_role("link", name="New search").click()
    expect(page.locator(".tile").first).to_be_visible()
    page.evaluate(
        "transfer => dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer}))",
        transfer,
    )
    expect(page.locator(".query h2")).to_have_text("hum.wav")


def test_a_file_that_is_none_is_refused_in_the_services_words(
    server: str, new_page: NewPage, media_root: Path
) -> None:
    page = new_page(server, expected="422")
    field = page.get_by_label("Search by clip, sound or picture")
    field.set_input_files(media_root / "sounds" / "broken.wav")
    note = page.locator(".notice.bad")
    expect(note.locator("h2")).to_have_text("Invalid media")
    expect(note.locator("p")).not_to_be_empty()


def test_nothing_matches_is_said(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+spaceship&targets=video")
    expect(page.locator(".notice.warn h2")).to_have_text("No confident match for “a spaceship”")
    expect(page.locator("#announce")).to_have_text(
        re.compile(r"No confident match .* Showing \d+ results")
    )
    expect(page.locator(".score").first).to_contain_text("12 % likely")
    page.goto(f"{server}/?q=a+spaceship&targets=text")
    expect(page.locator(".count")).to_have_text("2 results")
    expect(page.locator(".notice")).to_have_count(0)
    page.goto(f"{server}/?q=a+spaceship&threshold=1&targets=video")
    expect(page.locator(".empty h2")).to_have_text("No results")


def test_a_search_without_the_mouse(server: str, new_page: NewPage) -> None:
    page = new_page(server)
    expect(page.locator(".tile").first).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search query")).to_be_focused()
    page.keyboard.type("a red circle")
    page.keyboard.press("Enter")
    first, second = page.locator(".result").nth(0), page.locator(".result").nth(1)
    expect(second.locator(".code").first).to_be_visible()
    expect(first.locator(".code").first).to_be_visible()
    expect(page.get_by_label("Search query")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if first.evaluate("card => card === document.activeElement"):
            break
    expect(first).to_be_focused()
    outline = first.evaluate("card => getComputedStyle(card).outlineStyle")
    assert outline == "solid"  # where the focus is can be seen
    page.keyboard.press("ArrowRight")
    expect(second).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(first).to_be_focused()
    while not first.locator(".strip .code").first.evaluate("c => c === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(first.locator(".strip").first.locator(".code").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(first.locator(".strip").first.locator(".code").nth(1)).to_be_focused()


def test_text_of_items_is_never_run(server: str, new_page: NewPage) -> None:
    page = new_page(f"{server}/?q=a+dog&targets=text")
    expect(page.locator(".result h3", has_text=EVIL)).to_have_count(1)
    page.get_by_role("link", name="Items").click()
    row = page.locator('.item[data-id="evil"]')
    expect(row.locator("h2")).to_have_text(EVIL)
    expect(row.locator("dd")).to_have_text(EVIL)
    assert page.locator("main script").count() == 0
    expect(page).to_have_title("Items · SRCID")
