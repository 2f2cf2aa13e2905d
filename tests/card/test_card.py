"""The status card draws what it is told, sorts it, and writes no more than what has changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright
import pytest
import pytest_asyncio

from scripts.demonstration.browser import FLAGS, find_chromium

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine"),
    pytest.mark.asyncio(loop_scope="module"),
]

HARNESS = (Path(__file__).parent / "harness.html").as_uri()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Start one browser for all: that takes longer than the tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a page; what fails in it fails the test."""
    page = await browser.new_page(viewport={"width": 1100, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await page.close()
    assert errors == []


async def show(page: Page, **query: Any) -> None:
    """Open the card and wait for its blocks."""
    await page.goto(f"{HARNESS}?{'&'.join(f'{key}={value}' for key, value in query.items())}")
    await page.locator("tbody tr").first.wait_for()


async def cells(page: Page, row: int) -> list[str]:
    """Return the text of a row of the table that is shown."""
    found = page.locator("section tbody tr").nth(row)
    return await found.locator("th .open > :first-child, td .value, td .word").all_inner_texts()


async def send(page: Page, message: dict[str, Any]) -> None:
    """Have the integration tell something, and wait until it is painted."""
    await page.evaluate(
        "async (m) => { stub.send(m); await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }",
        message,
    )


async def test_string_is_shown_as_the_status_screen_shows_it(page: Page) -> None:
    await show(page, strings=2, blocks=24)
    assert await cells(page, 0) == ["1", "13.571", "4.53", "99", "9", "23.7", "Normal"]
    # M:6994 lost; what is not known is no 0.
    assert await cells(page, 8) == ["9", "–", "–", "–", "–", "–", "Lost"]
    # M:6997 a dot tells that there is a note.
    noted = page.locator(".open.noted")
    assert await noted.count() == 1
    assert "Gehäuse gewölbt" in (await noted.get_attribute("title") or "")
    wrong = page.locator("tbody tr").nth(4).locator(".wrong")
    assert await wrong.all_inner_texts() == ["▲ 7.90", "▼ 71"]
    assert await wrong.first.get_attribute("title") == "Block impedance too high"
    assert await page.locator("tbody tr").nth(13).locator(".stale").inner_text() == "23.2"
    # M:6998 the footer of the string.
    assert await page.locator(".foot dd").all_inner_texts() == [
        "325.3 V", "13.552 V", "13.550 V", "98 %", "0.14 A", "0.06 kW", "0.08 A",
    ]  # fmt: skip
    assert await page.locator(".badge").inner_text() == "2 alarm · 1 lost · 1 warning"
    assert "Thermal runaway" in await page.locator("header .wrongs").inner_text()
    assert "01:2" in await page.locator(".facts").inner_text()


async def test_german_is_spoken_and_numbers_have_a_comma(page: Page) -> None:
    await show(page, strings=1, blocks=10, lang="de")
    assert (await cells(page, 8))[-1] == "Verloren"
    assert (await cells(page, 0))[1] == "13,571"
    assert "Spannung" in await page.locator("section thead").inner_text()


async def test_both_languages_have_all_words(page: Page) -> None:
    await show(page, strings=1, blocks=4)
    english, german = await page.evaluate("[Object.keys(WORDS.en), Object.keys(WORDS.de)]")
    assert english == german
    assert await page.evaluate("Object.values(WORDS).every((words) => Object.values(words).every(Boolean))")


async def test_charge_is_an_arrow_while_none_can_be_told(page: Page) -> None:
    # M:6978 after a discharge comes a strong charge, during which no percentage is known.
    await show(page, strings=1, blocks=4)
    change = {"modules": [{"number": 2, "charge": None}, {"number": 3, "charge": None, "state": "lost"}]}
    await send(page, {"type": "change", "strings": [{"number": 1, "phase": "charging"}], **change})
    assert [(await cells(page, row))[3] for row in range(4)] == ["99", "↑", "–", "99"]
    label = await page.locator("td.charge .value").nth(1).get_attribute("aria-label")
    assert label == "No charge can be told during boost charge"


async def test_target_and_limits_move_the_marks_of_the_bars(page: Page) -> None:
    await show(page, strings=1, blocks=4)
    bar = page.locator("td.voltage .track").first

    async def marks() -> list[float]:
        names = ("--p", "--target")
        return [float((await bar.evaluate(f"(e) => e.style.getPropertyValue('{name}')"))[:-1]) for name in names]

    value, target = await marks()
    await send(page, {"type": "change", "strings": [{"number": 1, "target": 13.9}]})
    assert (await marks())[0] == value
    assert (await marks())[1] > target + 5
    await send(
        page,
        {
            "type": "change",
            "system": {"limits": {"module.voltage.low.critical": 13, "module.voltage.high.critical": 14}},
        },
    )
    assert await marks() == [56.1, 84.5]


async def test_columns_sort_both_ways_and_what_is_unknown_stands_last(page: Page) -> None:
    await show(page, strings=1, blocks=16)
    head = page.locator("th.head-impedance")
    await head.locator("button").click()
    assert await head.get_attribute("aria-sort") == "descending"
    numbers = await page.locator("tbody .open > :first-child").all_inner_texts()
    assert numbers[0] == "5"
    assert set(numbers[-2:]) == {"9", "14"}
    await head.locator("button").press("Enter")
    assert await head.get_attribute("aria-sort") == "ascending"
    numbers = await page.locator("tbody .open > :first-child").all_inner_texts()
    assert numbers[-3] == "5"
    assert set(numbers[-2:]) == {"9", "14"}


async def test_tabs_follow_the_arrow_keys_and_begin_with_what_is_worst(page: Page) -> None:
    await show(page, strings=3, blocks=8)
    tabs = page.get_by_role("tab")
    # Block 3 of the second string has an alarm, and so has the first string: the first of the worst is shown.
    assert await tabs.nth(0).get_attribute("aria-selected") == "true"
    await tabs.nth(0).press("ArrowRight")
    assert await tabs.nth(1).get_attribute("aria-selected") == "true"
    assert await tabs.nth(1).locator(".how").inner_text() == "Thermal runaway, 1 alarm, 1 lost, 1 warning"
    assert "▲ 41.2" in await page.locator("section tbody").inner_text()


async def test_a_change_writes_only_the_cells_that_changed(page: Page) -> None:
    await show(page, strings=16, blocks=32, layout="all")
    assert await page.locator("section tbody tr").count() == 512
    await page.evaluate(
        """() => { window.seen = 0;
        new MutationObserver((found) => { seen += found.length; }).observe(card.shadowRoot.querySelector(".tables"),
          { subtree: true, childList: true, characterData: true, attributes: true }); }"""
    )
    await send(page, {"type": "change", "modules": [{"number": 300, "impedance": 4.77}]})
    assert await page.evaluate("seen") == 2  # the number and its bar
    row = page.locator("section").nth(9).locator("tbody tr").nth(11)
    assert await row.locator("td.impedance .value").text_content() == "4.77"
    # The same again is no change.
    await send(page, {"type": "change", "modules": [{"number": 300, "impedance": 4.77}]})
    assert await page.evaluate("seen") == 2


async def test_all_blocks_changing_at_once_is_painted_within_a_few_frames(page: Page) -> None:
    await show(page, strings=16, blocks=32, layout="all")
    took = await page.evaluate(
        """() => {
        const modules = stub.snapshot.modules.map(({ number, voltage }) => ({ number, voltage: (voltage ?? 13) + 0.001, duty: 30 }));
        const began = performance.now();
        stub.send({ type: "change", modules });
        card._paint();
        return performance.now() - began; }"""
    )
    # Usually some 15 ms; the limit is for a machine that has other things to do.
    assert took < 250


async def test_an_offline_bridge_and_one_that_is_gone_are_told(page: Page) -> None:
    await show(page, strings=1, blocks=10)
    await page.evaluate("() => { stub.send({ ...stub.snapshot, online: false }); }")
    await page.get_by_text("The bridge is not connected.").wait_for()
    await page.evaluate("() => { stub.failing = { code: 'not_found' }; stub.send({ type: 'ended' }); }")
    await page.get_by_text("is not there at the moment").wait_for()
    assert await page.evaluate("stub.ended") == 1


async def test_a_block_can_be_found_from_its_card(page: Page) -> None:
    await show(page, strings=1, blocks=10)
    await page.locator("tbody .open").nth(4).click()
    dialog = page.get_by_role("dialog")
    assert "Block 5: Alarm" in await dialog.inner_text()
    await dialog.get_by_role("button", name="Find (blink)").click()
    await page.get_by_text("Done.").wait_for()
    assert await page.evaluate("stub.calls") == [["ridethrough", "find_block", {}, {"device_id": "device-5"}]]
    await page.keyboard.press("Escape")
    assert not await dialog.is_visible()


async def test_words_from_outside_are_never_markup(page: Page) -> None:
    await show(page, strings=1, blocks=4)
    evil = "<img src=x onerror=window.hacked=1>"
    system = {"name": evil, "conditions": {evil: "alarm"}}
    await send(page, {"type": "change", "system": system, "modules": [{"number": 1, "note": evil}]})
    assert evil in await page.locator("h2").inner_text()
    assert await page.locator("img").count() == 0


async def test_card_tells_how_it_is_chosen_and_set_up(page: Page) -> None:
    await show(page, strings=1, blocks=4)
    assert await page.evaluate("customCards.map(({ type }) => type)") == ["ridethrough-battery-card"]
    form = await page.evaluate("customElements.get('ridethrough-battery-card').getConfigForm().then((f) => f.schema)")
    assert [field["name"] for field in form] == ["device_id", "name", "layout", "numbers", "hide_overview"]
    assert form[0]["selector"]["select"]["options"] == [{"value": "system", "label": "USV-Batterie Halle 2"}]
    with pytest.raises(Exception, match="layout must be tabs or all"):
        await page.evaluate("card.setConfig({ layout: 'round' })")


async def test_card_is_suggested_for_entities_of_a_battery_system(page: Page) -> None:
    await show(page, strings=1, blocks=4)
    suggested = await page.evaluate(
        """() => {
        const hass = {
          devices: { block: { parent_device_id: "system" }, system: {} },
          entities: {
            a: { platform: "ridethrough", translation_key: "module_voltage", device_id: "block" },
            b: { platform: "ridethrough", translation_key: "battery_ripple", device_id: "system" },
            c: { platform: "ridethrough", translation_key: "ups_load", device_id: "ups" },
            d: { platform: "other", translation_key: "module_voltage", device_id: "block" },
          },
        };
        return ["a", "b", "c", "d", "e"].map((id) => customCards[0].getEntitySuggestion(hass, id)?.config.device_id ?? null);
        }"""
    )
    assert suggested == ["system", "system", None, None, None]
