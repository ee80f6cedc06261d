"""Opens Swagger UI in headless Chromium and carries out "Try it out" of
POST /v1/alerts. Usage: swagger_ui.py http://127.0.0.1:8080 [screenshot.png]

Needs chromium and chromium-driver (Debian) and selenium (PyPI).
"""

import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

BODY = '{"target":["@all"],"severity":"normal","message":"tried out in Swagger UI"}'


def main(url, screenshot=None):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,2400",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--no-first-run", "--disable-quic",
    ):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        browser.get(f"{url}/swagger-ui/index.html")
        wait = WebDriverWait(browser, 30)
        css = lambda selector: wait.until(lambda b: b.find_element(By.CSS_SELECTOR, selector))
        operation = wait.until(lambda b: next(
            (block for block in b.find_elements(By.CSS_SELECTOR, ".opblock-post")
             if block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").text.replace("\u200b", "") == "/v1/alerts"),
            None,
        ))
        operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
        css(".try-out__btn").click()
        area = css("textarea.body-param__text")
        browser.execute_script(
            "const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;"
            "set.call(arguments[0], arguments[1]);"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}));",
            area, BODY,
        )
        css("button.execute").click()
        status = css(".live-responses-table .response .response-col_status")
        print("status:", status.text.split()[0])
        answer = css(".live-responses-table .response .microlight")
        print("answer:", answer.text)
        if screenshot:
            browser.execute_script("arguments[0].scrollIntoView()", operation)
            browser.save_screenshot(screenshot)
        return 0 if status.text.startswith("200") and "userCount" in answer.text else 1
    finally:
        browser.quit()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
