"""The first live page, as a person sees it, on the demo world."""

import os
import re
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("EARSHOT_SCREENSHOTS")
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = (1440, 900), (390, 844)
PAGES = ("/", "/posts", "/rules", "/sources")


@contextmanager
def opened(browser, client, *, size=WIDE, scheme="light", refused="never", **options):
    """A page with the administrator's session; a complaint of the browser fails the test.

    `refused` is in the browser's note of an answer that the test provokes.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **options
    )
    base = str(client.base_url).rstrip("/")
    for cookie in client.cookies.jar:
        context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": base}])
    page = context.new_page()
    complaints = []
    page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("request", lambda r: not r.url.startswith(base) and complaints.append(f"asked {r.url}"))
    page.base = base
    try:
        yield page
        assert [c for c in complaints if refused not in c] == []
    finally:
        context.close()


def shoot(page, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_posts_are_on_the_page_within_seconds(browser, signed_in):
    with opened(browser, signed_in) as page:
        page.goto(page.base + "/")
        page.wait_for_selector(".post", timeout=30_000)
        page.wait_for_selector(".badge.ok", timeout=60_000)
        page.wait_for_selector(".uplot canvas", timeout=10_000)

        before = page.locator(".post").first.get_attribute("data-key")
        page.wait_for_function(
            "key => document.querySelector('.post')?.dataset.key !== key",
            arg=before,
            timeout=10_000,
        )


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page_stands_in_every_light_and_width(browser, signed_in, path, scheme, size):
    with opened(browser, signed_in, size=size, scheme=scheme) as page:
        page.goto(page.base + path)
        page.wait_for_selector("h1")
        page.wait_for_timeout(1500)

        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.title().endswith("Earshot")
        shoot(page, f"{path.strip('/') or 'overview'}-{scheme}-{size[0]}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_that_can_be_found_by_machine(browser, signed_in, path, scheme):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (make web)")
    with opened(browser, signed_in, scheme=scheme, bypass_csp=True) as page:
        page.goto(page.base + path)
        page.wait_for_timeout(1500)
        page.add_script_tag(path=AXE)

        result = page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
        )

        found = [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in result["violations"]]
        assert found == []


def test_a_rule_is_judged_while_it_is_typed_and_finds_live_posts_when_saved(browser, signed_in):
    with opened(browser, signed_in, refused="status of 422") as page:
        page.goto(page.base + "/")
        page.wait_for_selector(".post", timeout=60_000)
        editor = page.locator(".overview textarea")
        editor.fill("music (OR")
        page.wait_for_selector(".verdict.bad")
        assert page.locator(".editor pre mark").count() == 1

        editor.fill("is:post OR is:reply")
        page.wait_for_selector(".verdict.good")
        page.wait_for_function(
            "() => /[1-9][\\d,]* of/.test(document.querySelector('.verdict.good')?.textContent)"
        )

        page.fill("input[aria-label='Name of the rule']", "posts and replies")
        page.click("button:has-text('Save rule')")
        saved = time.monotonic()
        page.wait_for_url(re.compile(r"rule=\d+"))
        page.wait_for_selector(".post .chip.rule:has-text('posts and replies')", timeout=10_000)
        assert time.monotonic() - saved < 10
        shoot(page, "rule-saved")


def test_a_deleted_post_leaves_the_page_without_a_reload(browser, signed_in):
    with opened(browser, signed_in) as page:
        page.goto(page.base + "/")
        page.wait_for_selector(".post", timeout=30_000)
        page.click("button:has-text('Pause')")
        key = page.locator(".post").first.get_attribute("data-key")
        source, _, post_id = key.partition("/")

        gone = signed_in.delete(f"/api/v1/posts/{source}/{post_id}")
        assert gone.status_code < 300, gone.text

        page.wait_for_function(
            "key => ![...document.querySelectorAll('.post')].some((p) => p.dataset.key === key)",
            arg=key,
            timeout=5_000,
        )
        assert signed_in.get(f"/api/v1/posts/{source}/{post_id}").status_code == 410


def test_a_search_finds_marks_and_pages(browser, signed_in):
    with opened(browser, signed_in, refused="status of 422") as page:
        page.goto(page.base + "/posts?r=24h")
        page.wait_for_selector(".post", timeout=30_000)
        page.fill("input[type=search]", "-is:repost lang:en")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => /posts/.test(document.querySelector('.panel .note')?.textContent)"
        )
        first = page.locator(".post").count()
        assert first > 0

        page.fill("input[type=search]", '"never closed')
        page.keyboard.press("Enter")
        page.wait_for_selector(".problem")


def test_who_is_not_signed_in_is_asked_to(browser, earshot):
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(earshot.base + "/rules")
        page.wait_for_url(re.compile(r"/sign-in\?next="), timeout=10_000)
        assert page.locator("input[type=password]").count() == 1
    finally:
        context.close()
