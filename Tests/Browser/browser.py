"""Headless Chromium, driven over the pipe form of the DevTools protocol: JSON with a NUL behind each message."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class Browser:
    def __init__(self, program, *arguments):
        self.home = tempfile.mkdtemp(prefix="chat-browser-")
        commands, self.to_browser = os.pipe()
        self.from_browser, answers = os.pipe()
        # The browser reads from descriptor 3 and writes to 4, whatever ours are called.
        wire = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", wire, "bash", str(commands), str(answers), program,
             "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-breakpad",
             "--disable-extensions", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-default-apps", "--no-first-run", "--no-default-browser-check",
             "--no-proxy-server", "--password-store=basic", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
             "--remote-debugging-pipe", f"--user-data-dir={self.home}/profile", *arguments, "about:blank"],
            pass_fds=(commands, answers), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self.home, "XDG_CONFIG_HOME": self.home, "XDG_CACHE_HOME": self.home,
                 "XDG_RUNTIME_DIR": self.home, "TMPDIR": self.home, "DBUS_SESSION_BUS_ADDRESS": "disabled:"})
        os.close(commands)
        os.close(answers)
        self.buffer = b""
        self.number = 0
        self.tabs = {}

    def command(self, method, session=None, seconds=20, **parameters):
        """Sends a command and returns its result; what comes in between are events."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to_browser, data):]
        end = time.monotonic() + seconds
        while True:
            answer = self.receive(method, end)
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if (tab := self.tabs.get(answer.get("sessionId"))) and "method" in answer:
                tab.event(answer["method"], answer["params"])

    def receive(self, method, end):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.from_browser], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the browser does not answer {method}")
            data = os.read(self.from_browser, 1 << 16)
            if not data:
                raise ConnectionError(f"the browser has gone, at {method}")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session, target)
        for domain in "Page", "Runtime", "Log":
            tab.command(f"{domain}.enable")
        tab.command("Emulation.setFocusEmulationEnabled", enabled=True)
        tab.command("Page.navigate", url=url)
        return tab

    def processes(self):
        """Every process of this browser: its command line or its environment names the folder."""
        found = []
        mark = self.home.encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) != os.getpid() and (
                    mark in (entry / "cmdline").read_bytes() or mark in (entry / "environ").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                pass  # gone meanwhile, or not ours
        return found

    def close(self):
        """What is left over after it, in words; nothing if all is well."""
        try:
            self.command("Browser.close", seconds=5)
            self.process.wait(10)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            pass
        end = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(5)
        os.close(self.to_browser)
        os.close(self.from_browser)
        shutil.rmtree(self.home, ignore_errors=True)
        return [*left, *([self.home] if os.path.exists(self.home) else [])]


class Tab:
    def __init__(self, browser, session, target):
        self.browser = browser
        self.session = session
        self.target = target
        self.errors = []

    def command(self, method, **parameters):
        return self.browser.command(method, self.session, **parameters)

    def event(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"].get("exception", {}).get("description", "?"))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            # A server that is away is part of the test.
            if "ERR_CONNECTION_REFUSED" not in parameters["entry"]["text"]:
                self.errors.append(parameters["entry"]["text"])

    def evaluate(self, script):
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails'].get('exception', {}).get('description')}")
        return result["result"].get("value")

    def type(self, text):
        self.command("Input.insertText", text=text)

    def press_enter(self):
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.command("Input.dispatchKeyEvent", type="keyDown", **key)
        self.command("Input.dispatchKeyEvent", type="keyUp", **key)

    def click(self, selector):
        x, y = self.evaluate(f"""(box => [box.x + box.width / 2, box.y + box.height / 2])(
            document.querySelector({json.dumps(selector)}).getBoundingClientRect())""")
        for kind in "mousePressed", "mouseReleased":
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def reload(self):
        self.command("Page.reload")
        time.sleep(0.1)

    def close(self):
        self.command("Page.close")

    def picture(self, path, width, height, scheme):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                     mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        # Two frames later it is painted as it is now.
        self.evaluate("""new Promise(done => {
            const log = document.getElementById("messages");
            if (log) log.scrollTop = 1e6;
            requestAnimationFrame(() => requestAnimationFrame(done));
        })""")
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))
        self.command("Emulation.clearDeviceMetricsOverride")
        self.command("Emulation.setEmulatedMedia", features=[])
