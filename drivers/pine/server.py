"""Receives the alerts of charts over HTTP. TradingView waits 3 s and calls ports 80 and 443 only: use a proxy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from drivers.pine.message import MOST, MessageError, read_message
from drivers.pine.watch import Watch

SECONDS: Final = 3.0
"""That a request may take to arrive."""
Refused = Callable[[str, str], None]


def serve(address: tuple[str, int], watch: Watch, token: str, refused: Refused) -> ThreadingHTTPServer:
    """A server that is bound to the address; `serve_forever` starts it. refused: is told the sender and why."""

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        server_version, sys_version = "StratoQuant", ""

        def do_POST(self) -> None:
            code, words = self._answer()
            if code >= 400:
                refused(str(self.client_address[0]), words)
            body = json.dumps({"result": words}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self) -> tuple[int, str]:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                return 411, "the length of the message is not said"
            if int(length) > MOST:
                return 413, f"the message has more than {MOST} bytes"
            try:
                return 200, watch.take(read_message(self.rfile.read(int(length)), token), time.monotonic())
            except PermissionError as error:
                return 401, str(error)
            except (MessageError, ValueError) as error:
                return 400, str(error)
            except OSError:
                return 408, "the message did not arrive"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what matters goes to the run's log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    Server.address_family = _family(address[0])
    return Server(address, Handler)


def _family(host: str) -> Any:
    import socket

    return socket.AF_INET6 if ":" in host else socket.AF_INET
