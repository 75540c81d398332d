"""Looks at the status pages as people do, and has axe-core look too."""

import contextlib
import json
import pathlib
import shutil
import sqlite3
import sys
import time
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import judges  # noqa: E402

SCREENSHOTS = pathlib.Path("target/browser")
PAGES = ["/", "/devices", "/events", "/rotation", "/changes"]
DEVICES = [0, 1, 100_000]
MAX_PAGE_BYTES = 100_000
FIRST = "51D0000000000000"

failures = []
passed = 0


def check(holds, what):
    global passed
    if holds:
        passed += 1
    else:
        failures.append(what)


def main():
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    axe = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    for devices in DEVICES:
        with judges.host(sys.argv[1]) as host:
            fill(host, devices)
            token = host.token("browser", "write")
            with host.serving():
                look(host, token, devices, axe)
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"browser: {passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


def fill(host, devices):
    """One lock as an export has it, taken over by `devices import`, and its row as often as there are to be
    locks: an import of 100,000 takes minutes in a debug build."""
    if not devices:
        return
    now = time.time()
    record = {
        "device": FIRST,
        "first_seen": stamp(now - 90 * 86400),
        "last_seen": stamp(now - 3600),
        "address": "10.44.0.7",
        "site": "Main Office",
        "name": "Back door <b>&\"'</b> \u202e",
        "model": "NDEB",
        "firmware": "3.11.1",
        "battery": "5.9",
        "tls": {"at": stamp(now - 3600), "value": "TLSv1.2"},
        "audits_stored_at": stamp(now - 3600),
    }
    folder = host.folder / "export" / FIRST
    folder.mkdir(parents=True)
    (folder / "device.json").write_text(json.dumps(record))
    audits = [{
        "received_at": stamp(now - 3600), "event": "0B040001", "time": "20261123021259", "code": "0B040001",
        "name": "host connected or disconnected", "batch": "8f0c2b7d5a1e4c3f9b6d8e7a0c1f2d3e", "line": line, "of": 3,
    } for line in [1, 2, 3]]
    month = time.strftime("%Y-%m", time.gmtime(now))
    (folder / f"audits-{month}.jsonl").write_text("".join(json.dumps(it) + "\n" for it in audits))
    host.command("devices", "import", str(folder.parent), "--config", str(host.config))
    multiply(host.folder / "Engage_Data" / "engage-host.db", devices)


def multiply(database, devices):
    """Whatever columns there are."""
    differs = {
        "device": "printf('51D0%012X', number)",
        "last_seen": "last_seen - (number % 1600) * 60000000",
    }
    with contextlib.closing(sqlite3.connect(database)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(devices)")]
        values = ", ".join(differs.get(column, column) for column in columns)
        connection.execute(
            f"WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?)"
            f" INSERT INTO devices ({', '.join(columns)}) SELECT {values} FROM devices, numbers"
            f" WHERE device = ? AND number < ?", (devices, FIRST, devices))
        connection.commit()
        (found,) = connection.execute("SELECT count(*) FROM devices").fetchone()
    assert found == devices, f"{found} rows"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def look(host, token, devices, axe):
    with browser(javascript=True) as driver:
        sign_in(driver, host, token, devices, axe)
        pages = PAGES + [f"/devices/{FIRST}"] * (devices > 0)
        for page in pages:
            look_at(driver, host, page, devices, axe)
        if devices:
            search_and_page(driver, host, devices)
        if devices == 1:
            look_at_the_rest(driver, host, devices, axe)
        stays_at_home(driver, host, devices)
    if devices == DEVICES[-1]:
        with browser(javascript=False) as driver:
            sign_in(driver, host, token, devices, None)
            search_and_page(driver, host, devices)
            for page in PAGES:
                driver.get(host.admin + page)
                check(heading(driver), f"{page}, without JavaScript: no heading")


@contextlib.contextmanager
def browser(javascript):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
        "--window-size=1280,900", "--hide-scrollbars",
    ]:
        options.add_argument(argument)
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(30)
    try:
        yield driver
    finally:
        driver.quit()


def sign_in(driver, host, token, devices, axe):
    driver.get(host.admin + "/devices")
    check(urlsplit(driver.current_url).path == "/sign-in", f"/devices without a session is {driver.current_url}")
    judge(driver, "sign-in", devices, axe)
    field = driver.find_element(By.CSS_SELECTOR, "main form input:not([type=hidden]), form input:not([type=hidden])")
    field.send_keys("wrong")
    leave(driver, lambda: field.send_keys(Keys.ENTER))
    check(urlsplit(driver.current_url).path == "/sign-in", f"a wrong token led to {driver.current_url}")
    judge(driver, "sign-in-refused", devices, axe)
    field = driver.find_element(By.CSS_SELECTOR, "main form input:not([type=hidden]), form input:not([type=hidden])")
    field.clear()
    field.send_keys(token)
    leave(driver, lambda: field.send_keys(Keys.ENTER))
    check(urlsplit(driver.current_url).path == "/devices", f"signing in led to {driver.current_url}")
    cookies = driver.get_cookies()
    check([(it["httpOnly"], it["sameSite"]) for it in cookies] == [(True, "Strict")], f"cookies are {cookies}")


def look_at(driver, host, page, devices, axe):
    driver.get(host.admin + page)
    check(urlsplit(driver.current_url).path == page, f"{page} with {devices} locks is {driver.current_url}")
    check(heading(driver), f"{page} with {devices} locks has no heading")
    size = len(driver.page_source.encode())
    check(size <= MAX_PAGE_BYTES, f"{page} with {devices} locks has {size} bytes")
    name = page.strip("/").replace(f"/{FIRST}", "-one").replace("/", "-") or "home"
    judge(driver, name, devices, axe)


def look_at_the_rest(driver, host, devices, axe):
    """What other states and other people see."""
    host.command("rotate", "prepare", "--config", str(host.config))
    driver.get(host.admin + "/rotation")
    check("engage-host rotate publish" in driver.page_source, "a rotation that is prepared is not shown")
    judge(driver, "rotation-prepared", devices, axe)
    driver.get(host.admin + "/api/docs")
    check(heading(driver), "/api/docs has no heading")
    judge(driver, "api-docs", devices, axe)
    driver.get(host.admin + "/")
    driver.execute_script("document.querySelector('form[action=\"/reload\"] [name=form_token]').value = 'wrong'")
    leave(driver, driver.find_element(By.CSS_SELECTOR, "form[action='/reload'] button").click)
    check("lacks the form token" in driver.page_source, "a form with a wrong token is not refused by a page")
    judge(driver, "refused", devices, axe)


def leave(driver, submit):
    """Submits a form, and returns when another page is there."""
    page = driver.find_element(By.TAG_NAME, "html")
    submit()
    WebDriverWait(driver, 30).until(expected_conditions.staleness_of(page))
    WebDriverWait(driver, 30).until(lambda it: it.execute_script("return document.readyState") == "complete")


def heading(driver):
    return len(driver.find_elements(By.TAG_NAME, "h1")) == 1


def judge(driver, name, devices, axe):
    """Wide and narrow, light and dark: a picture of each, and what axe and the console say."""
    if axe is None:
        return
    for scheme in ["light", "dark"]:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                               {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for width in [1280, 360]:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                   {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 360})
            where = f"{name} with {devices} locks, {scheme}, {width} px"
            scroll = driver.execute_script("return document.documentElement.scrollWidth")
            check(scroll <= width, f"{where}: scrolls sideways to {scroll} px")
            picture(driver, f"{name}-{devices}-{scheme}-{width}")
            axe_finds_nothing(driver, where, axe)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    for line in driver.get_log("browser"):
        if line["level"] not in ("SEVERE", "WARNING"):
            continue
        is_answer = any(
            path in line["message"] and f" {status} " in line["message"]
            for path, status in [("/sign-in", 401), ("/reload", 403)])
        check(is_answer, f"{name} with {devices} locks, on the console: {line['message']}")


def picture(driver, name):
    driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def axe_finds_nothing(driver, where, axe):
    found = driver.execute_async_script(
        axe + "; const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations), e => done(String(e)));")
    if isinstance(found, str):
        check(False, f"{where}: axe failed: {found}")
        return
    check(not found, f"{where}: " + "; ".join(
        f"{it['id']} ({it['impact']}): {it['help']}: {it['nodes'][0]['html'][:200]}" for it in found))


def search_and_page(driver, host, devices):
    driver.get(host.admin + "/devices")
    rows = shown(driver)
    check(len(rows) == min(devices, 50) or 0 < len(rows) <= 50, f"{len(rows)} rows of {devices} locks")
    if devices > 50:
        driver.find_element(By.CSS_SELECTOR, "a[rel=next]").click()
        second = shown(driver)
        check(second and not set(second) & set(rows), f"the second page repeats the first: {second[:3]}")
    wanted = f"{0x51D0000000000000 + devices - 1:016X}"
    driver.get(host.admin + "/devices")
    field = driver.find_element(By.CSS_SELECTOR, "form[role=search] input, form input[type=search]")
    field.send_keys(wanted)
    leave(driver, lambda: field.send_keys(Keys.ENTER))
    found = shown(driver)
    check(found == [wanted], f"the search for {wanted} finds {found}")


def shown(driver):
    """The serial numbers of the table, by the links to the locks."""
    links = driver.find_elements(By.CSS_SELECTOR, "main table a[href*='/devices/']")
    return [link.get_attribute("href").rsplit("/", 1)[-1] for link in links]


def stays_at_home(driver, host, devices):
    """Every request that the pages caused went to the host itself."""
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    check(len(asked) > 5, f"the log of requests has only {asked}")
    away = [url for url in asked if not url.startswith((host.admin + "/", "data:", "chrome:", "about:"))]
    check(not away, f"with {devices} locks, requests left the origin: {away}")


main()
