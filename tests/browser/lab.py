#!/usr/bin/env python3
"""The page of `landfast lab` in a real browser, with JavaScript and without: what happens appears, and the form's faults take effect.

The steps build on each other; one that fails leaves a screenshot, the page and the browser's log under target/browser/lab. Prints one
line a step and `N passed, N failed` at the end.

    tests/browser/lab.py --landfast target/debug/landfast [--picture FILE]
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from selenium.webdriver.common.by import By

from driver import Browser, Failure

# Contrast of text against its ground, WCAG 2.2 success criterion 1.4.3.
CONTRAST = 4.5


class Lab:
    """A lab, a CA that it trusts, and one that it does not; a context manager."""

    def __init__(self, landfast, folder):
        self.landfast = landfast.resolve()
        self.folder = folder
        self.authority("ca", "Hybrid nodes 2026")
        self.authority("other", "Somebody else")
        self.process = subprocess.Popen(
            [self.landfast, "lab", "--listen", "127.0.0.1:0", "--trust-anchor", folder / "ca.pem"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        self.ready = json.loads(self.process.stdout.readline())
        self.address = self.ready["endpoint"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def authority(self, file, name):
        """A CA of its own."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{file}.key", "-out",
                     f"{file}.pem", "-days", "3650", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def node(self, name, authority="ca", usage="digitalSignature", hours=72):
        """A node's pair, signed by an authority."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "node.key", "-out", "node.csr",
                     "-subj", "/CN=" + name.replace("/", "\\/"))
        (self.folder / "node.ext").write_text(f"basicConstraints=CA:false\nkeyUsage=critical,{usage}\n")
        self.openssl("x509", "-req", "-in", "node.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-days", str(hours // 24),
                     "-extfile", "node.ext", "-out", "node.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def session(self, name):
        """Asks for a session; the exit code and what was said."""
        ready = self.ready
        done = subprocess.run(
            [self.landfast, "credential-process", "--endpoint", self.address, "--no-cache", "--certificate", "node.pem", "--private-key",
             "node.key", "--trust-anchor-arn", ready["trustAnchorArn"], "--profile-arn", ready["profileArn"], "--role-arn", ready["roleArn"],
             "--role-session-name", name],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"]},
        )
        return done.returncode, done.stderr

    def post(self, path, headers, body):
        """A request by curl; its status."""
        flags = [part for header in headers for part in ("-H", header)]
        done = subprocess.run(["curl", "-s", "--noproxy", "*", "-o", os.devnull, "-w", "%{http_code}", "-d", body, *flags, self.address + path],
                              check=True, capture_output=True, text=True)
        return int(done.stdout)


class Steps:
    """What is looked at. Methods whose names begin with `step_` run in the order in which they stand here."""

    def __init__(self, lab, browser, plain, picture, output):
        self.lab = lab
        self.output = output
        self.browser = browser
        self.plain = plain
        self.picture = picture

    def section(self, browser, heading):
        """The text of a section, by its heading's id."""
        return browser.find(f"section[aria-labelledby={heading}]").text

    def wait(self, browser, heading, *texts):
        """Waits until a section shows these texts, without loading the page by hand."""
        for text in texts:
            browser.wait(f"{text!r} under {heading}", lambda text=text: text in self.section(browser, heading))

    def step_an_empty_lab(self):
        for browser in (self.browser, self.plain):
            browser.open("/")
            self.wait(browser, "sessions", "Nobody has asked")
            self.wait(browser, "nodes", "No node")
            self.wait(browser, "anchors", "CN=Hybrid nodes 2026", "in 9 years", "enabled", self.lab.ready["trustAnchorArn"])
            self.wait(browser, "crls", "None was imported")
            self.wait(browser, "connect", self.lab.ready["profileArn"], self.lab.address)

    def step_one_browser_has_no_javascript(self):
        # What stands in <noscript> is markup only where no script runs.
        same([len(browser.driver.find_elements(By.CSS_SELECTOR, "meta[http-equiv=refresh]")) for browser in (self.browser, self.plain)], [0, 1])

    def step_a_session_appears_by_itself(self):
        self.lab.node("node-1")
        same(self.lab.session("node-1")[0], 0)
        for browser in (self.browser, self.plain):
            self.wait(browser, "sessions", "CN=node-1", "granted", "session node-1")
            self.wait(browser, "nodes", "CN=node-1", "in 2 days", "valid", "CN=Hybrid nodes 2026")

    def step_a_refusal_shows_its_rule_and_its_remedy(self):
        self.lab.node("node-2", authority="other")
        same(self.lab.session("node-2")[0], 1)
        self.lab.node("node-3", usage="keyAgreement")
        same(self.lab.session("node-3")[0], 1)
        for browser in (self.browser, self.plain):
            self.wait(browser, "sessions", "refused 403", "CN=node-2", "CA-09", "landfast trust-anchor", "CN=node-3", "EE-02",
                      "DigitalSignature to key_usage")
            if "node-2" in self.section(browser, "nodes"):
                raise Failure("whoever is refused is a node of the lab")

    def step_a_picture(self):
        if not self.picture:
            return
        same(self.lab.post("/lab/faults", [], '["throttle", "throttle"]'), 200)
        for scheme, file in (("light", self.picture), ("dark", self.output / "dark.png")):
            self.browser.prefers(scheme)
            self.browser.open("/")
            self.wait(self.browser, "trouble", "2 × throttle")
            self.browser.picture(file)
        self.browser.prefers("light")
        same(self.lab.post("/lab/page/faults", ["Origin: " + self.lab.address], "fault=forget"), 303)

    def step_a_fault_of_the_form_takes_effect(self):
        self.lab.node("node-1")
        for browser in (self.browser, self.plain):
            before = self.section(browser, "sessions").count("fault: drop")
            # Without JavaScript the page may load itself anew while somebody types: whoever wants to, lets it rest.
            browser.open("/?pause")
            browser.clear("input[name=count]")
            browser.type("input[name=count]", "20")
            browser.click("button[value=drop]")
            browser.wait_text("Paused")
            browser.open("/")
            self.wait(browser, "trouble", "20 × drop")
            code, said = self.lab.session("node-1")
            if code == 0:
                raise Failure("no fault was played")
            browser.wait("the fault in the record", lambda browser=browser, before=before:
                         self.section(browser, "sessions").count("fault: drop") > before)
            browser.click("button[value=forget]")
            self.wait(browser, "trouble", "Sessions\nnone")
            same(self.lab.session("node-1"), (0, ""))

    def step_a_fault_of_the_control_plane(self):
        for browser in (self.browser, self.plain):
            browser.click("input[value=control]")
            browser.click("button[value=unavailable]")
            self.wait(browser, "trouble", "Control plane\nunavailable")
            same(self.lab.post("/crls", [], "{}"), 503)
            same(self.lab.post("/crls", [], "{}"), 403)
            self.wait(browser, "control", "POST /crls", "fault: unavailable", "refused 403")
            self.wait(browser, "trouble", "Control plane\nnone")

    def step_a_wrong_number_is_told(self):
        # A browser checks numbers by itself; another client may not.
        address = ["Origin: " + self.lab.address]
        same(self.lab.post("/lab/page/faults", address, "plane=sessions&count=0&fault=drop"), 400)
        same(self.lab.post("/lab/page/faults", address, "plane=sessions&count=1&fault=drop"), 303)
        same(self.lab.post("/lab/page/faults", address, "fault=forget"), 303)

    def step_other_pages_make_no_trouble(self):
        same(self.lab.post("/lab/page/faults", [], "plane=sessions&count=1&fault=drop"), 403)
        same(self.lab.post("/lab/page/faults", ["Origin: null"], "plane=sessions&count=1&fault=drop"), 403)
        form = (f'<form method="post" action="{self.lab.address}/lab/page/faults"><input name="plane" value="sessions"><input name="count" '
                'value="1"><input name="fault" value="drop"></form><p>other</p><script>document.forms[0].submit()</script>')
        script = (f'<p>other</p><script>fetch("{self.lab.address}/lab/faults", {{method: "POST", mode: "no-cors", body: "[\\"drop\\"]"}})'
                  '.finally(() => document.body.append("sent"))</script>')
        frame = f'<p>other</p><iframe src="{self.lab.address}/"></iframe>'
        pages = {"/form": form, "/script": script, "/frame": frame, "/link": f'<a href="{self.lab.address}/">the lab</a>'}
        with Other(pages) as other:
            self.browser.driver.get(other.address + "/form")
            self.browser.wait_text("requests of web pages are refused")
            self.browser.driver.get(other.address + "/script")
            self.browser.wait_text("sent")
            self.browser.driver.get(other.address + "/frame")
            self.browser.wait_text("other")
            driver = self.browser.driver
            driver.switch_to.frame(driver.find_element(By.TAG_NAME, "iframe"))
            if "landfast lab" in self.browser.text():
                raise Failure("another page shows the lab's in a frame")
            driver.switch_to.default_content()
            # To follow a link is no more than to look.
            self.browser.driver.get(other.address + "/link")
            self.browser.click("a")
        self.wait(self.browser, "trouble", "Sessions\nnone", "Control plane\nnone")
        self.browser.messages.clear()
        self.browser.driver.get_log("browser")

    def step_names_stay_names(self):
        name = "<img src=x onerror=alert(1)>"
        self.lab.node(name)
        same(self.lab.session("node-1")[0], 1)
        for browser in (self.browser, self.plain):
            self.wait(browser, "sessions", "CN=\\<img src=x onerror=alert(1)\\>", "EE-09")
            same(len(browser.driver.find_elements(By.CSS_SELECTOR, "section img")), 0)

    def step_a_page_that_rests(self):
        for browser in (self.browser, self.plain):
            browser.click(".switch a")
            browser.wait_text("Paused")
            before = self.section(browser, "sessions")
            self.lab.node("node-4")
            same(self.lab.session("node-4")[0], 0)
            time.sleep(6)
            same(self.section(browser, "sessions"), before)
            # A fault leaves it at rest.
            browser.click("button[value=empty]")
            self.wait(browser, "trouble", "empty")
            browser.wait_text("Paused")
            browser.click("button[value=forget]")
            self.wait(browser, "trouble", "Sessions\nnone")
            browser.click(".switch a")
            self.wait(browser, "sessions", "CN=node-4")

    def step_what_was_typed_stays(self):
        browser = self.browser
        browser.open("/")
        browser.clear("input[name=seconds]")
        browser.type("input[name=seconds]", "7")
        self.lab.node("node-5")
        same(self.lab.session("node-5")[0], 0)
        self.wait(browser, "sessions", "CN=node-5")
        same(browser.value("input[name=seconds]"), "7")

    def step_it_can_be_read_in_light_and_dark(self):
        seen = {}
        for scheme in ("light", "dark"):
            self.browser.prefers(scheme)
            self.browser.open("/")
            self.wait(self.browser, "nodes", "CN=node-1")
            pairs = self.browser.driver.execute_script(COLOURS)
            seen[scheme] = pairs[0]["ground"]
            weak = [pair for pair in pairs if contrast(pair["text"], pair["ground"]) < CONTRAST]
            if weak or len(pairs) < 20:
                raise Failure(f"{scheme}: {len(pairs)} texts, too weak: {weak[:5]}")
        if seen["light"] == seen["dark"]:
            raise Failure(f"both are {seen}")
        self.browser.prefers("light")

    def step_it_fits_a_narrow_window_and_has_names_for_all(self):
        driver = self.browser.driver
        driver.set_window_size(500, 900)
        self.browser.open("/")
        self.wait(self.browser, "nodes", "CN=node-1")
        same(driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), True)
        driver.set_window_size(1280, 1000)
        nameless = driver.execute_script(NAMELESS)
        same(nameless, [])

    def step_it_needs_nothing_from_elsewhere(self):
        self.browser.open("/")
        asked = [address for address in self.browser.requests() if not address.startswith(("data:", "chrome"))]
        mine = [address for address in asked if address.startswith(self.lab.address + "/")]
        if not any(address.endswith("/lab/page.css") for address in mine):
            raise Failure(f"the log of requests shows no style sheet: {asked}")
        self.browser.refuse_errors()
        self.browser.open("/")
        self.wait(self.browser, "nodes", "CN=node-1")
        time.sleep(2)
        foreign = [address for address in self.browser.requests()
                   if not address.startswith((self.lab.address + "/", "data:", "chrome"))]
        same(foreign, [])

    def step_the_end_of_the_lab_is_told(self):
        self.lab.__exit__()
        self.browser.wait_text("The lab does not answer")


class Other:
    """Another site on this machine; a context manager."""

    def __init__(self, pages):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = pages.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://localhost:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


# Each visible text with its colour and the ground that it stands on; the page's own first.
COLOURS = """
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const found = [document.body];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (walk.currentNode.data.trim() && element.getClientRects().length) found.push(element);
}
return found.map((element) => ({
  what: element.className || element.tagName,
  text: numbers(getComputedStyle(element).color).slice(0, 3),
  ground: ground(element),
}));
"""

# What a screen reader would have no name for.
NAMELESS = """
const named = (element) => element.textContent.trim() || element.getAttribute('aria-label') || element.labels?.length
  || element.getAttribute('aria-labelledby');
return [...document.querySelectorAll('a, button, input, section, table th, [role=region]')]
  .filter((element) => !named(element)).map((element) => element.outerHTML)
  .concat(document.documentElement.lang ? [] : ['lang'], document.querySelectorAll('h1').length === 1 ? [] : ['h1']);
"""


def contrast(one, other):
    """The ratio of two colours. Source: WCAG 2.2, "contrast ratio"."""

    def luminance(colour):
        parts = [value / 255 for value in colour]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def same(left, right):
    """Fails with both when they differ."""
    if left != right:
        raise Failure(f"{left!r} is not {right!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfast", type=pathlib.Path, required=True)
    parser.add_argument("--picture", type=pathlib.Path, help="where the page is kept as a picture; a dark one goes to the output")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("target/browser/lab"))
    arguments = parser.parse_args()
    passed = failed = 0
    shutil.rmtree(arguments.output, ignore_errors=True)
    arguments.output.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="lf-lab-") as name:
        folder = pathlib.Path(name)
        (folder / "plain").mkdir()
        with Lab(arguments.landfast, folder) as lab, Browser(lab.address, folder) as browser, \
                Browser(lab.address, folder / "plain", scripts=False) as plain:
            steps = Steps(lab, browser, plain, arguments.picture, arguments.output)
            for step in [step for step in vars(Steps) if step.startswith("step_")]:
                title = step.removeprefix("step_").replace("_", " ")
                try:
                    getattr(steps, step)()
                except Exception:  # Whatever it was, the steps after it say more.
                    failed += 1
                    print(f"FAILED lab: {title}")
                    traceback.print_exc()
                    browser.keep(arguments.output, step, "")
                    plain.keep(arguments.output, step + "-plain", "")
                else:
                    passed += 1
                    print(f"ok lab: {title}")
                sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
