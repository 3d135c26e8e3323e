"""The pages of the demos in headless Chromium."""

import json
import sys
from pathlib import Path

from demo import Demo, Program, wait_for

sys.path.append(str(Path(__file__).resolve().parent.parent / "Browser"))
from browser import Browser  # noqa: E402

NASTY = "<img src=x onerror=\"window.broken = 1\"><b>bold</b>"


def check(good, what):
    if not good:
        raise AssertionError(what)


def shows(tab, selector, text):
    """Waits until an element has this text, as text."""
    script = f"[...document.querySelectorAll({json.dumps(selector)})].some(e => e.textContent === {json.dumps(text)})"
    check(wait_for(lambda: tab.evaluate(script)),
          f"{selector} does not show {text!r}: {tab.evaluate('document.body.innerText')}")


def submit(tab, form, **fields):
    """Fills fields of a form, by selector, and submits it."""
    for selector, text in fields.items():
        tab.evaluate(f"document.querySelector({json.dumps(f'{form} {selector}')}).value = {json.dumps(text)}")
    tab.evaluate(f"document.querySelector({json.dumps(form)}).requestSubmit()")


def no_script_ran(tab):
    check(not tab.evaluate("window.broken ?? document.querySelector('li b, li img')"), "text became HTML")
    check(not tab.errors, tab.errors)


def straight_line(browser):
    with Demo("straight-line") as demo:
        tab = browser.open(f"http://127.0.0.1:{demo.port}/")
        check(wait_for(lambda: tab.evaluate("typeof socket == 'object' && socket.readyState == 1")), "no WebSocket")
        submit(tab, "form", input=NASTY)
        shows(tab, "li", f"Hello {NASTY}!")
        no_script_ran(tab)
        submit(tab, "form", input="close")
        shows(tab, "li", "closed: 1000")


def chat_room(browser):
    with Demo("chat-room") as demo:
        port = demo.port
        one, two = (browser.open(f"http://127.0.0.1:{port}/") for _ in range(2))
        for tab in one, two:
            shows(tab, "#state", "connected")
        submit(one, "#echo", input="hello")
        shows(one, "#echo output", "server received data: hello")
        submit(one, "#chat", textarea=NASTY)
        for tab in one, two:
            shows(tab, "li", NASTY)
            no_script_ran(tab)
        check(demo.stop(), demo.text())
    check(wait_for(lambda: "disconnected" in one.evaluate("document.getElementById('state').textContent")), "no end")
    with Demo("chat-room", port=port):
        for tab in one, two:
            shows(tab, "#state", "connected")
        submit(two, "#chat", textarea="back")
        shows(one, "li", "back")


def token(browser):
    with Demo("token") as demo:
        port = demo.port
        tab = browser.open(f"http://127.0.0.1:{port}/?uid=7")
        shows(tab, "#state", "connected")
        shows(tab, "li", "Server: welcome 7")
        check(demo.stop(), demo.text())
    check(wait_for(lambda: "next attempt" in tab.evaluate("document.getElementById('state').textContent")), "no end")
    with Demo("token", port=port):  # with another key
        shows(tab, "#state", "connected")


def notifications(browser):
    with Demo("notifications") as demo:
        one, two = (browser.open(f"http://127.0.0.1:{demo.port}/?uid={user}") for user in (1, 2))
        for tab in one, two:
            shows(tab, "#state", "connected")
        submit(one, "form", **{"#to": "2", "#text": NASTY})
        shows(two, "li", NASTY)
        no_script_ran(two)


def visit(chromium):
    browser = Browser(chromium)
    Program.running.add(browser.process.pid)
    try:
        for pages in straight_line, chat_room, token, notifications:
            try:
                pages(browser)
            except Exception as error:
                raise AssertionError(f"{pages.__name__}: {type(error).__name__}: {error}") from error
    finally:
        left = browser.close()
        Program.running.discard(browser.process.pid)
    check(not left, f"the browser leaves {left}")
