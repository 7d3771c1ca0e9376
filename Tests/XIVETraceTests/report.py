"""Opens a report in headless Chromium, uses it with pointer and keyboard, and measures its contrast.

usage: report.py PAGE DIRECTORY [TEXT|NAME|FAULTS|EVENTS]...
  what a search for each TEXT must say; screenshots go into DIRECTORY; one line for each check; exit 1 when one fails
"""

import json
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.chrome.service import Service

CONTRAST = """
const luminance = (c) => {
  const [r, g, b] = c.map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const ratio = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + .05) / (y + .05);
};
const backdrop = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
const seen = (e) => e.getClientRects().length && getComputedStyle(e).visibility === "visible";
const failures = [];
let count = 0;
for (const e of document.querySelectorAll("body *")) {
  const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!says || !seen(e) || ["TITLE", "SCRIPT", "STYLE"].includes(e.tagName.toUpperCase())) continue;
  const style = getComputedStyle(e);
  const colour = parse(e instanceof SVGElement ? style.fill : style.color).slice(0, 3);
  count++;
  const r = ratio(colour, backdrop(e));
  if (r < 4.5) failures.push(`${e.tagName} "${e.textContent.slice(0, 30)}" ${r.toFixed(2)}`);
}
for (const name of ["h1","h2","h3","h4","h5","h6","h7","o0","o1","o2","o3","o4","o5","o6","a","x","k"]) {
  const c = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  c.setAttribute("class", name);
  document.querySelector("svg").append(c);
  const r = ratio(parse(getComputedStyle(c).fill).slice(0, 3), backdrop(document.body));
  c.remove();
  if (r < 3) failures.push(`class ${name} ${r.toFixed(2)}`);
}
return [count, failures];
"""

# Cells whose colour says something else than their title.
COLOURED = """
return [...document.querySelectorAll("#map-picture rect.c")].filter((cell) => {
  const figure = cell.querySelector("title").textContent.match(arguments[0]);
  return (figure !== null && figure[1] !== "0") !== /\\bh[1-7]\\b/.test(cell.getAttribute("class"));
}).map((cell) => cell.querySelector("title").textContent);
"""


class Page:
    def __init__(self, path, directory):
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--force-prefers-reduced-motion", "--hide-scrollbars"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(60)
        self.directory = directory
        self.failed = False
        begun = time.monotonic()
        self.driver.get("file://" + path)
        print(f"loaded in {time.monotonic() - begun:.2f} s")

    def check(self, what, holds, found=""):
        print(f"{'ok' if holds else 'FAILED'}: {what}{'' if holds else f': {found}'}")
        self.failed |= not holds

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": name}]})

    def screenshot(self, name, width):
        self.driver.set_window_size(width, 1000)
        height = self.run("return document.documentElement.scrollHeight")
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": min(height, 6000), "deviceScaleFactor": 1, "mobile": False})
        self.driver.save_screenshot(f"{self.directory}/{name}-{width}.png")
        self.check(f"nothing sticks out at {width}", self.run(
            "return document.documentElement.scrollWidth <= innerWidth"))
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def colours(page):
    return page.run("return [...document.querySelectorAll('#map-picture rect.c')]"
                    ".map((c) => c.getAttribute('class')).join()")


def pointer(page, wanted):
    before = colours(page)
    legend = page.one("#map-picture .legend").text
    for place, name in enumerate(["Faults", "Refaults", "SIGBUS", "Time"]):
        page.run(f"document.querySelectorAll('input[name=measure]')[{place}].click()")
        page.check(f"measure {name} has a name for the map",
                   name.lower() in page.one("#map-picture").get_attribute("aria-label").lower())
        if name in ("Refaults", "SIGBUS"):
            wrong = page.run(COLOURED, f" ([\\d,]+) {name if name == 'SIGBUS' else 'refaults'}")
            page.check(f"measure {name} colours the cells that have some", wrong == [], wrong)
        if place:
            page.check(f"measure {name} changes the map", colours(page) != before)
    page.check("the legend follows", page.one("#map-picture .legend").text != legend)
    page.run("document.querySelectorAll('input[name=measure]')[0].click()")
    page.check("faults again give the same map", colours(page) == before)
    page.check("and the same legend", page.one("#map-picture .legend").text == legend)
    page.one("#map-picture rect.c.h7").click()
    page.check("a click zooms", page.one("#zoom").is_displayed() and page.all("#grid button"))
    for _ in range(4):
        if page.all("#subject h3"):
            break
        page.run("[...document.querySelectorAll('#grid button')]"
                 ".find((b) => b.querySelector('.h7')).click()")
    page.check("down to a page", page.all("#subject table"), page.one("#zoom").text)
    page.run("document.querySelector('[data-find] button').click()")
    page.check("a table's entry finds its LISN", "esb:0x" in page.one("#answer").text,
               page.one("#answer").text)
    find(page, wanted)


def find(page, wanted):
    for text, name, faults, listed in wanted:
        query = page.one("#query")
        query.clear()
        query.send_keys(text, Keys.ENTER)
        answer = page.one("#answer").text
        said = f"{name}: {int(faults):,} fault{'' if faults == '1' else 's'}, {listed}"
        page.check(f"search for {text}", answer.startswith(said), f"{answer}, not {said}")
        page.check(f"{text} is marked", len(page.all("#map-picture .found")) == 1)
        page.check(f"{text} has the focus", page.driver.switch_to.active_element.text.startswith(name))
        rows = len(page.all("#subject .table + .table tbody tr"))
        page.check(f"{text} has its events listed", f" {rows:,} event" in answer and rows, answer)
    query = page.one("#query")
    query.clear()
    query.send_keys("seventeen", Keys.ENTER)
    page.check("a search for no number says so", "no number" in page.one("#answer").text)


def keyboard(page):
    page.driver.refresh()
    page.run("document.activeElement.blur()")
    page.press("/")
    page.check("/ goes to the search", page.run("return document.activeElement.id") == "query")
    for _ in range(40):
        page.press(Keys.TAB)
        if page.run("return document.activeElement.matches('#map-picture .c')"):
            break
    page.check("tab reaches one cell of the map",
               page.run("return document.activeElement.matches('#map-picture .c')"))
    at = page.run("return [document.activeElement.areaIndex, document.activeElement.place]")
    page.press(Keys.ARROW_RIGHT)
    right = page.run("return [document.activeElement.areaIndex, document.activeElement.place]")
    page.check("an arrow moves by one", right == [at[0], at[1] + 1], (at, right))
    page.check("the focus is seen", page.run(
        "return getComputedStyle(document.activeElement).strokeWidth") == "4px")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_LEFT)
    back = page.run("return [document.activeElement.areaIndex, document.activeElement.place]")
    page.check("and back", back == at, (at, back))
    page.press(Keys.ENTER)
    page.check("Enter zooms, the focus goes along",
               page.run("return document.activeElement.matches('#grid button')"))
    first = page.run("return document.activeElement.dataset.first")
    page.press(Keys.ARROW_RIGHT)
    page.check("arrows move in the zoom",
               page.run("return document.activeElement.dataset.first") != first)
    for _ in range(3):
        if page.all("#subject h3"):
            break
        page.press(Keys.ENTER)
    page.check("Enter opens a page", page.all("#subject h3"))
    for _ in range(5):
        page.press(Keys.ESCAPE)
    page.check("Escape closes the zoom", not page.one("#zoom").is_displayed())
    now = page.run("return [document.activeElement.areaIndex, document.activeElement.place]")
    page.check("and gives the focus back to the cell", now == at, now)


def contrast(page, name):
    count, failures = page.run(CONTRAST)
    page.check(f"contrast of {count} texts, {name}", count > 30 and not failures, failures[:8])


def themes(page):
    page.run("document.querySelectorAll('details').forEach((d) => d.open = true)")
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        contrast(page, f"the system's {scheme}")
        for width in (700, 1600):
            page.screenshot(scheme, width)
    page.scheme("light")
    page.one("#theme").click()
    dark = page.run("return getComputedStyle(document.body).backgroundColor")
    page.check("the switch makes it dark", dark != "rgb(255, 255, 255)", dark)
    contrast(page, "dark by the switch")
    page.one("#theme").click()
    light = page.run("return getComputedStyle(document.body).backgroundColor")
    page.check("and light again", light == "rgb(255, 255, 255)", light)


def network(page):
    urls = []
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    page.check("the page was asked for", any(url.startswith("file://") for url in urls), urls)
    page.check("nothing else was", all(url.startswith("file://") for url in urls), urls)
    errors = [e["message"] for e in page.driver.get_log("browser")]
    page.check("no message on the console", not errors, errors)


def main():
    path, directory = sys.argv[1:3]
    wanted = [word.split("|") for word in sys.argv[3:]]
    page = Page(path, directory)
    try:
        page.driver.set_window_size(1200, 1000)
        pointer(page, wanted)
        themes(page)
        keyboard(page)
        network(page)
    finally:
        page.driver.quit()
    sys.exit(page.failed)


main()
