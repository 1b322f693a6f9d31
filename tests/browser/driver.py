"""A browser that waits: each action first waits for what it acts on."""

import json
import os

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

# A shared machine is slow now and then; a step that works takes a second or two.
PATIENCE = int(os.environ.get("BROWSER_PATIENCE", "60"))


class Failure(AssertionError):
    """Something is not as it should be."""


class Browser:
    """Headless Chromium, signed in to the console if there is a token, with JavaScript unless told otherwise; a context manager."""

    def __init__(self, address, folder, token=None, scripts=True):
        options = Options()
        options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        # It runs as root in CI, where Chromium's sandbox does not start; it visits one page, of the server that the test started.
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--no-proxy-server",
                         "--disable-background-networking", "--window-size=1280,1000", f"--user-data-dir={folder / 'profile'}"]:
            options.add_argument(argument)
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(PATIENCE)
        self.driver.set_page_load_timeout(PATIENCE)
        self.address = address
        self.messages = []
        try:
            if token:
                self.sign_in(token)
        except BaseException:
            self.driver.quit()
            raise

    def sign_in(self, token):
        """With a token, as a person pastes it."""
        self.open("/ui/vault/auth?with=token")
        self.type('input[name="token"], input[type="password"]', token + "\n")
        self.wait_url("/ui/vault/secrets")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def wait(self, what, probe):
        """Waits until `probe` answers something."""
        try:
            return WebDriverWait(self.driver, PATIENCE, 0.2, [StaleElementReferenceException]).until(lambda _: probe())
        except TimeoutException:
            raise Failure(f"{what}: not within {PATIENCE} s at {self.driver.current_url}") from None

    def open(self, path):
        """Opens a page of the server."""
        self.driver.get(self.address + path)

    def find(self, selector):
        """The first visible element."""

        def probe():
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((element for element in found if element.is_displayed()), None) or (found[0] if found else None)

        return self.wait(selector, probe)

    def click(self, selector):
        """Clicks, once it can be clicked."""

        def probe():
            element = self.find(selector)
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            try:
                element.click()
            except ElementClickInterceptedException:
                return False
            except ElementNotInteractableException:  # Radio buttons and tiles of the console are drawn by their labels.
                self.driver.execute_script("arguments[0].click()", element)
            return True

        self.wait(f"a click on {selector}", probe)

    def press(self, text):
        """Presses the button with this text."""

        def probe():
            buttons = self.driver.find_elements(By.CSS_SELECTOR, "button, a.button, a.toolbar-link, [role=button]")
            found = next((button for button in buttons if button.is_displayed() and button.text.strip().lower() == text.lower()), None)
            if found:
                self.driver.execute_script("arguments[0].click()", found)
            return found

        self.wait(f"a button {text!r}", probe)

    def type(self, selector, text):
        """Types into a field, after what it holds."""

        def probe():
            element = self.find(selector)
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            try:
                element.send_keys(text)
            except ElementNotInteractableException:
                return False
            return True

        self.wait(f"a field {selector}", probe)

    def clear(self, selector):
        """Empties a field, as a person does."""
        element = self.find(selector)
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(Keys.BACKSPACE)

    def select(self, selector, value):
        """Chooses from a list."""
        self.wait(f"{value} in {selector}", lambda: self.driver.find_elements(By.CSS_SELECTOR, f'{selector} option[value="{value}"]'))
        Select(self.find(selector)).select_by_value(value)

    def ticked(self, selector):
        """Whether a box is ticked."""
        return self.find(selector).is_selected()

    def tick(self, selector):
        """Ticks a box."""
        if not self.ticked(selector):
            self.driver.execute_script("arguments[0].click()", self.find(selector))
        self.wait(f"{selector} is ticked", lambda: self.ticked(selector))

    def value(self, selector):
        """What a field holds."""
        return self.find(selector).get_property("value")

    def text(self):
        """All that the page shows, without the places where the explorer lets a path break."""
        return self.driver.find_element(By.TAG_NAME, "body").text.replace("\u200b", "")

    def wait_text(self, *texts):
        """Waits until the page shows these texts, in whatever case."""
        for text in texts:
            self.wait(f"the text {text!r}", lambda text=text: text.lower() in self.text().lower())

    def wait_url(self, part):
        """Waits for an address that ends so, or goes on below it."""
        self.wait(f"the page {part}", lambda: part in self.driver.current_url)

    def wait_gone(self, selector):
        """Waits until there is no such element."""
        self.wait(f"no {selector}", lambda: not self.driver.find_elements(By.CSS_SELECTOR, selector))

    def copied(self, start):
        """A PEM text of the page: what its button for copying copies."""

        def probe():
            script = (
                "return [...document.querySelectorAll('[data-clipboard-text], [data-test-value-div], pre, code, textarea, [data-test-masked-input]')]"
                ".flatMap(e => [e.getAttribute('data-clipboard-text'), e.value, e.textContent])"
            )
            texts = self.driver.execute_script(script)
            return next((text.strip() for text in texts if text and text.strip().startswith(start)), None)

        for mask in self.driver.find_elements(By.CSS_SELECTOR, '[data-test-button="toggle-masked"]'):
            self.driver.execute_script("arguments[0].click()", mask)
        return self.wait(start, probe)

    def import_text(self, text):
        """Gives a text in place of a file."""
        self.driver.execute_script("arguments[0].click()", self.find("[data-test-text-toggle]"))
        self.type("[data-test-text-file-textarea]", text)

    def fill_list(self, name, text):
        """Types into the first line of a list of the form."""
        self.type(f'[data-test-input="{name}"] [data-test-string-list-input="0"]', text)

    def fetch(self, path):
        """What the console's page gets from the API, by the way that it takes."""
        script = """
            const done = arguments[arguments.length - 1];
            const key = Object.keys(localStorage).find((name) => name.startsWith("vault-token"));
            const token = JSON.parse(localStorage.getItem(key)).token;
            fetch(arguments[0], {headers: {"X-Vault-Token": token}}).then((r) => r.json()).then(done, (e) => done({error: String(e)}));
        """
        return self.driver.execute_async_script(script, path)

    def prefers(self, scheme):
        """What the system is set to: `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def requests(self):
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def picture(self, file):
        """Keeps the page as a picture, without what is not the page."""
        self.driver.execute_script("window.scrollTo(0, 0)")
        self.driver.save_screenshot(str(file))

    def look(self):
        """Takes the messages of the browser's log over."""
        self.messages.extend(self.driver.get_log("browser"))

    def refuse_errors(self):
        """Fails when a script of the console broke, or the server failed."""
        self.look()
        # An empty list is a 404, and a refused save a 400: these the browser logs too.
        meant = ["status of 404", "status of 400"]
        broken = [entry["message"] for entry in self.messages
                  if entry["level"] == "SEVERE" and not any(text in entry["message"] for text in meant)]
        if broken:
            raise Failure("\n".join(broken))

    def keep(self, folder, name, log):
        """Keeps what there is to see, for whoever reads a failure."""
        self.look()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.driver.save_screenshot(str(folder / f"{name}.png"))
            (folder / f"{name}.html").write_text(self.driver.page_source)
        except Exception as error:  # The browser itself may be what failed.
            print(f"no picture: {error}")
        (folder / f"{name}.log").write_text("\n".join(json.dumps(entry) for entry in self.messages))
        (folder / "server.log").write_text(log)
