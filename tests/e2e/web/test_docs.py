"""/docs and /redoc in a browser: whole without the outside world, and usable with a key."""

from playwright.sync_api import Page, expect

from tests.e2e.web.conftest import NewPage

PATIENT = 120_000  # ms: both pages are megabytes of script, on a machine that may be busy
LOGO = "cdn.redoc.ly"  # what ReDoc asks for, and the policy refuses


def asked_of(page: Page) -> list[str]:
    """Collect the addresses that a page really asks for, and wait for it longer than usual."""
    page.set_default_timeout(PATIENT)
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    return asked


def test_swagger_ui_opens_without_a_key_and_calls_with_one(
    new_page: NewPage, guarded_server: tuple[str, str]
) -> None:
    address, key = guarded_server
    page = new_page("about:blank")
    asked = asked_of(page)
    page.goto(f"{address}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    model = page.locator("#operations-service-model_model_get")
    model.get_by_role("button").first.click()
    model.get_by_role("button", name="Try it out").click()
    model.get_by_role("button", name="Execute").click()
    expect(model.locator(".live-responses-table")).to_contain_text("fingerprint", timeout=PATIENT)
    assert asked
    assert [url for url in asked if not url.startswith(address)] == []


def test_redoc_shows_every_call(new_page: NewPage, server: str) -> None:
    page = new_page("about:blank", expected=LOGO)
    asked = asked_of(page)
    page.goto(f"{server}/redoc")
    expect(page.get_by_role("heading", name="Search").first).to_be_visible(timeout=PATIENT)
    expect(page.locator("body")).to_contain_text("/v1/embeddings", timeout=PATIENT)
    assert [url for url in asked if LOGO in url] == []
