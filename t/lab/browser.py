# SPDX-License-Identifier: Apache-2.0
"""A real browser in front of a gateway: headless Chromium, driven by selenium."""

import base64
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Callable, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from .frontdoor import LOGOUT
from .gateway import Gateway
from .names import GATEWAY
from .tls import Certificate
from .wait import until

T = TypeVar("T")

SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-quic", "--no-first-run", "--no-default-browser-check",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--disable-default-apps", "--metrics-recording-only",
            "--password-store=basic")
FEATURES = ("Translate", "OptimizationHints")
NO_JAVASCRIPT = {"profile.default_content_setting_values.javascript": 2}


class Browser:
    """A Chromium with an empty profile below *root*, without a window.

    It trusts the keys of *certificates* as if a known authority had certified them: errors that
    are only ignored would keep pages out of its cache, where a test may want to find them.
    """

    def __init__(self, root: Path, *certificates: Certificate, javascript: bool = True,
                 keeps_pages: bool = True, ccache: Path | None = None) -> None:
        """*ccache* has the tickets of a member of the domain, for the gateway.

        *keeps_pages*: whole, as they are, for when somebody goes back to them; Chromium does
        so even where a page forbids to store it."""
        root.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        keys = ",".join(_key_digest(certificate) for certificate in certificates)
        unwanted = (*FEATURES, *(() if keeps_pages else ("BackForwardCache",)))
        for switch in (*SWITCHES, f"--disable-features={','.join(unwanted)}",
                       f"--user-data-dir={root}/profile",
                       f"--ignore-certificate-errors-spki-list={keys}"):
            options.add_argument(switch)
        env = os.environ | {"HOME": str(root), "TMPDIR": str(root),
                            "KRB5CCNAME": f"FILE:{ccache or root / 'no-tickets'}"}
        if ccache:
            options.add_argument(f"--auth-server-allowlist={GATEWAY}")
            # Chromium loads GSSAPI only from the start after it has met the scheme.
            options.add_experimental_option(
                "localState", {"net.received_http_auth_negotiate_headers": True})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not javascript:
            options.add_experimental_option("prefs", NO_JAVASCRIPT)
        # Files outside its profile (~/.cache, ~/.pki, /tmp) stay in this directory as well.
        self.driver = webdriver.Chrome(
            options=options, service=Service(
                "/usr/bin/chromedriver", log_path=str(root / "driver.log"),
                env=env))
        self.driver.set_page_load_timeout(60)

    def quit(self) -> None:
        self.driver.quit()

    # --- where it is -----------------------------------------------------------------------

    def open(self, gateway: Gateway, path: str) -> None:
        self.driver.get(url(gateway, path))

    @property
    def where(self) -> str:
        """Path and query of the page that is shown."""
        parts = urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    @property
    def host(self) -> str | None:
        return urlsplit(self.driver.current_url).hostname

    def arrive(self, at: str) -> None:
        """Wait until the page with this path and query is shown, and is complete."""
        try:
            self.wait(lambda: self.where == at and self.driver.execute_script(
                "return document.readyState") == "complete")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {at}; it is at {self.where}\n{self.text}") from None

    def wait(self, predicate: Callable[[], T], what: str = "the browser") -> T:
        """Poll; while one page gives way to another, elements and frames come and go."""
        def patiently() -> T | None:
            try:
                return predicate()
            except WebDriverException:
                return None
        return until(patiently, 60, what)

    # --- what it shows ---------------------------------------------------------------------

    def find(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def has(self, css: str) -> bool:
        return self.driver.find_elements(By.CSS_SELECTOR, css) != []

    @property
    def text(self) -> str:
        return self.find("body").text

    @property
    def message(self) -> str:
        """Why the login form is shown; empty if it says nothing."""
        return self.find("#message").text

    @property
    def shows_form(self) -> bool:
        return self.has("input[type=password]")

    def cookies(self) -> dict[str, dict[str, object]]:
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    def violations(self) -> list[str]:
        """Its complaints about security policies since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if "Security Policy" in entry["message"] or "Refused to" in entry["message"]]

    # --- what a person does ----------------------------------------------------------------

    def log_on(self, user: str, password: str, private: bool = False) -> None:
        """Fill in the form that is shown, and send it; return when the next page is there."""
        form = self.find("form")
        for field, value in ("#username", user), ("#password", password):
            self.find(field).clear()
            self.find(field).send_keys(value)
        if private:
            self.find("input[name=trusted][value='4']").click()
        self.find("button[type=submit]").click()
        self.wait(lambda: self.is_gone(form), "the form to be sent")

    def sign_out(self, gateway: Gateway) -> None:
        """By the sign-out page's button."""
        self.open(gateway, LOGOUT)
        self.find("button").click()

    def is_gone(self, element: WebElement) -> bool:
        """Was the page that it belonged to replaced by another?"""
        try:
            element.is_enabled()
        except WebDriverException:
            return True
        return False

    # --- how it looks ----------------------------------------------------------------------

    def be_sized(self, width: int, height: int, phone: bool = False) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 2 if phone else 1,
            "mobile": phone})

    def prefer(self, scheme: str) -> None:
        """"dark" or "light"."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def speak(self, language: str) -> None:
        """The language of its Accept-Language."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders",
                                    {"headers": {"Accept-Language": language}})

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(path))


def url(gateway: Gateway, path: str) -> str:
    return f"https://{GATEWAY}:{gateway.port}{path}"


def _key_digest(certificate: Certificate) -> str:
    """The digest of the public key as Chromium's switch wants it."""
    pem = subprocess.run(["openssl", "x509", "-in", certificate.cert, "-noout", "-pubkey"],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    der = base64.b64decode("".join(pem.split("\n")[1:-2]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
