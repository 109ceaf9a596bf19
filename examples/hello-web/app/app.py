#!/usr/bin/env python3
"""A tiny web application: a page that tells its version, and /healthz.

Usage: app.py CONFIG

CONFIG is the JSON file that the AfterInstall script wrote. Needs nothing but Python 3.7.
"""

import html
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hello from Slipway</title>
<h1>Hello from Slipway</h1>
<p>This is hello-web {version}, deployed to {application} / {group} by deployment {deployment}.</p>
</html>
"""


def page(config, version):
    """The front page."""
    values = {
        "version": version,
        "application": config["application"],
        "group": config["group"],
        "deployment": config["deployment"],
    }
    return PAGE.format(**{name: html.escape(value) for name, value in values.items()})


def handler(config, version):
    """The request handler for this configuration."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "hello-web/" + version

        def do_GET(self):
            path = self.path.split("?", 1)[0]
            if path == "/":
                self.answer(200, "text/html; charset=utf-8", page(config, version))
            elif path == "/healthz":
                status = {"status": "ok", "version": version, "deployment": config["deployment"]}
                self.answer(200, "application/json", json.dumps(status) + "\n")
            else:
                self.answer(404, "text/plain; charset=utf-8", "There is nothing at this address.\n")

        do_HEAD = do_GET

        def answer(self, status, kind, text):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


def main():
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    version = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
    # The stop script sends SIGTERM and waits for the process to be gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer((config["host"], config["port"]), handler(config, version)) as server:
        print(f"hello-web {version} answers on http://{config['host']}:{config['port']}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
