"""A host of its own for the judges of tests/api and tests/browser: an installation by `init`, a daemon on
ports of the kernel's choice, and tokens."""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import time


class Host:
    """An installation in a temporary folder, and its daemon."""

    def __init__(self, binary, folder):
        self.program = [str(pathlib.Path(binary).resolve())]
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "config.toml"
        self.daemon = None

    def command(self, *args):
        """Runs a command of the program, which has to succeed, and returns what it prints."""
        ran = subprocess.run([*self.program, *args], capture_output=True, text=True, timeout=300)
        if ran.returncode != 0:
            raise SystemExit(f"{' '.join(args)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def init(self):
        self.command("init", "--dir", str(self.folder), "--host", "127.0.0.1",
                     "--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
        self.set("admin", 'listen = "127.0.0.1:0"')
        # Copies of 100,000 records would be 100,000 folders.
        self.set("devices", "json_files = false")

    def set(self, section, line):
        """Puts a line into a section of the configuration, in place of one with the same key."""
        key = line.split(" = ")[0]
        text = self.config.read_text()
        lines, found, inside = [], False, False
        for old in text.splitlines():
            if old.startswith("["):
                inside = old.strip() == f"[{section}]"
            if inside and re.match(rf"#? ?{re.escape(key)} = ", old):
                continue
            lines.append(old)
            if old.strip() == f"[{section}]":
                lines.append(line)
                found = True
        if not found:
            lines += ["", f"[{section}]", line]
        self.config.write_text("\n".join(lines) + "\n")

    def token(self, name, role):
        """A new token."""
        said = self.command("admin", "token", name, "--role", role, "--json", "--config", str(self.config))
        return json.loads(said)["token"]

    @contextlib.contextmanager
    def serving(self):
        """Runs the daemon, and stops it."""
        log = open(self.folder / "log", "w+", encoding="utf-8")
        self.daemon = subprocess.Popen([*self.program, "serve", "--config", str(self.config)], stderr=log)
        try:
            self.admin = self.address(r"listening on admin (http://\S+)")
            self.http = self.address(r"listening on (http://\S+)")
            self.https = self.address(r"listening on https://(\S+)")
            yield self
            if self.daemon.poll() is not None:
                raise SystemExit(f"the daemon ended:\n{self.log()}")
            if "panicked" in self.log():
                raise SystemExit(f"the daemon panicked:\n{self.log()}")
        finally:
            self.daemon.terminate()
            self.daemon.wait(30)
            log.close()

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def address(self, pattern):
        """What the log says; it is said within moments."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.daemon.poll() is None:
            if found := re.search(pattern, self.log()):
                return found.group(1)
            time.sleep(0.05)
        raise SystemExit(f"the daemon does not say `{pattern}`:\n{self.log()}")


@contextlib.contextmanager
def host(binary):
    """A fresh installation, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="engage-judges-") as folder:
        fresh = Host(binary, folder)
        fresh.init()
        yield fresh
