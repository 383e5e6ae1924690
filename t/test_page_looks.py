# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser: each language, dark and light, on a phone and on a desk.

EAS_T_SCREENSHOTS=DIR   where its screenshots go, instead of the session's directory
"""

import os
from pathlib import Path

import pytest

pytest.importorskip("selenium")

from lab.ad import PASSWORDS
from lab.exchange import DOMAINS, location
from lab.frontdoor import FORM, LOGOUT
from lab.login_form import LANGUAGES, texts_of

TAGS = sorted(path.stem for path in LANGUAGES.glob("*.txt"))
SHOWN = ("en", "de", "he")      # the languages of the screenshots
SIZES = {"phone": (360, 740, True), "desk": (1280, 800, False)}
BUTTON = {"light": "rgba(26, 86, 184, 1)", "dark": "rgba(138, 180, 248, 1)"}
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="180" height="48">
<rect width="180" height="48" rx="8" fill="#1a56b8"/><circle cx="24" cy="24" r="12" fill="#fff"/></svg>
"""
CHANGE = FORM.replace("login", "password") + "?reason=expired"
# By name: the path, whether somebody is signed in, the text that the page must have.
PAGES = {"form": ("/owa/", False, "sign_in"),
         "wrong": (None, False, "wrong"),
         "late": (FORM + "?reason=try-later", False, "try_later"),
         "change": (CHANGE, False, "new_password_again"),
         "question": (LOGOUT, True, "confirm_logout"),
         "403": ("/ecp/", True, "not_allowed"),
         "503": ("/slow/", True, "unavailable")}


@pytest.fixture
def shots(lab_dir):
    return Path(os.environ.get("EAS_T_SCREENSHOTS") or lab_dir / "screenshots")


@pytest.fixture
def site(gateway, ok_backend, lab_dir):
    """A gateway with all that its pages can show."""
    (lab_dir / "logo.svg").write_text(LOGO)
    gw = gateway(DOMAINS + "EasKcdPasswordChange On\nEasKcdDomain example.test CORP.EXAMPLE.TEST\n"
                 f'EasKcdLoginInfo logo "{lab_dir}/logo.svg"\n'
                 'EasKcdLoginInfo organization "Example & Sons"\n'
                 "EasKcdLoginInfo help https://help.example/\nEasKcdLoginInfo privacy /privacy\n"
                 '<Location "/">\nAuthName "Example Mail"\n</Location>\n'
                 + (location(ok_backend.url, path="/owa")
                    + location(ok_backend.url, path="/ecp", require="Require user nobody")
                    + location(ok_backend.url, "EasKcdSPN HTTP/unknown", path="/slow")
                    ).replace('AuthName "Mail"', ""))
    gw.expect("EAS1063", "AH01631", "EAS2033")
    yield gw
    assert ok_backend.requests == []


def come_to(chromium, site, name):
    path, _, _ = PAGES[name]
    if path is not None:
        chromium.open(site, path)
    else:
        chromium.open(site, FORM)
        chromium.log_on("alice", "nonsense")


def sign_in(chromium, site):
    """By a destination that is not there, so that no page of the backend counts."""
    chromium.open(site, FORM + "?destination=/none")
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive("/none")


def assert_looks(chromium, tag, name):
    """Nothing is cut off or wider than the screen, and all runs in the language's direction."""
    seen = chromium.driver.execute_script("""
        const root = document.documentElement;
        const cut = [...document.querySelectorAll("main, main *, .links, .links *")].filter(e => {
            const box = e.getBoundingClientRect();
            return box.left < 0 || box.right > root.clientWidth + 0.5
                || e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != "inline"
                   && e.tagName != "INPUT";
        }).map(e => e.outerHTML.slice(0, 80));
        return {wide: root.scrollWidth - root.clientWidth, cut, lang: root.lang,
                direction: getComputedStyle(document.querySelector("main")).direction,
                small: [...document.querySelectorAll("button, .button, input[type=text]")].filter(
                    e => e.getBoundingClientRect().height < 44).length};""")
    direction = texts_of(tag)["direction"]
    assert seen == {"wide": 0, "cut": [], "lang": tag, "direction": direction, "small": 0}, name
    assert texts_of(tag)[PAGES[name][2]] in chromium.text, name
    assert chromium.violations() == [], name
    focused = chromium.driver.switch_to.active_element.get_attribute("id")
    assert focused == {"form": "username", "late": "username", "wrong": "password",
                       "change": "username"}.get(name, "")


def test_every_language_on_a_phone(site, browser):
    chromium = browser()
    chromium.be_sized(*SIZES["phone"])
    for wanted in (False, True):
        if wanted:
            sign_in(chromium, site)
        for tag in TAGS:
            chromium.speak(tag)
            for name, (_, signed_in, _) in PAGES.items():
                if signed_in is wanted:
                    come_to(chromium, site, name)
                    assert_looks(chromium, tag, name)


@pytest.mark.parametrize("scheme", BUTTON)
@pytest.mark.parametrize("size", SIZES)
def test_screenshots(site, browser, shots, size, scheme):
    width, height, phone = SIZES[size]
    chromium = browser()
    chromium.be_sized(width, height, phone)
    chromium.prefer(scheme)
    for wanted in (False, True):
        if wanted:
            sign_in(chromium, site)
        for tag in SHOWN:
            chromium.speak(tag)
            for name, (_, signed_in, _) in PAGES.items():
                if signed_in is wanted:
                    come_to(chromium, site, name)
                    assert_looks(chromium, tag, name)
                    chromium.screenshot(shots / f"{name}-{tag}-{size}-{scheme}.png")
                    button = chromium.find("button, .button")
                    assert button.value_of_css_property("background-color") == BUTTON[scheme], name
                    fits = button.location["y"] + button.size["height"] <= height
                    assert fits or (name == "change" or phone and name in ("wrong", "late")), "below the fold"
