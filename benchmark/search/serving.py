"""A trained model in a browser of this machine: a page to drop images on, which go to this process and no further.

The server listens on the loopback interface alone, and answers only requests that name it (Host, and Origin where there
is one): a page from elsewhere cannot reach it under a name of its own.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from benchmark.data.images import UnreadableImageError
from benchmark.errors import ConfigError
from benchmark.reporting import html_pages
from benchmark.search.prediction import NONE, answers, rule
from benchmark.search.trained_model import TrainedModel

ADDRESS = "127.0.0.1"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
LARGEST = 50 * 2**20
"""Bytes of an image that is taken."""
PATIENCE = 30.0  # seconds that a request may stand still
SHOWN = 5
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do: nothing but ask this server."""


class Refused(Exception):
    """A request that is not answered, and why."""

    def __init__(self, status: HTTPStatus, why: str):
        super().__init__(why)
        self.status = status


def answer(model: TrainedModel, data: bytes) -> dict[str, Any]:
    """What a model says of an image: `named`, its classes (none: an empty list), and the likeliest `classes`."""
    try:
        seen = model.seen(data, "the file")
    except UnreadableImageError as error:
        why = f"an image must be readable. Got {error}. Drop a photograph or a picture."
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, why) from None
    shares, names = model.probabilities([seen]), model.about.class_names
    (named,) = answers(shares, model.about)
    ranked = sorted(range(len(names)), key=lambda k: (-shares[0, k], k))[:SHOWN]
    return {
        "named": [names[k] for k in named],
        "none": NONE if not named else "",
        "classes": [{"name": names[k], "probability": round(float(shares[0, k]), 4)} for k in ranked],
    }


def page(model: TrainedModel) -> str:
    """The page as one document without anything from elsewhere."""
    about = model.about
    measure = "mean average precision" if about.multilabel else "accuracy"
    return html_pages.render(
        "search/templates/serve.html",
        title=about.spec.name,
        tested=f"{measure} {about.test['oracle']:.1f} % on {about.test['images']} test images",
        names=about.class_names,
        rule=rule(about),
        largest=LARGEST,
    )


class Server(ThreadingHTTPServer):
    """Answers for one model; a browser that goes away while it is answered is no fault."""

    daemon_threads = True

    def __init__(self, model: TrainedModel, port: int):
        self.model, self.document = model, page(model).encode()
        self.turn = threading.Lock()
        super().__init__((ADDRESS, port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request: the page, or an image and what the model says of it."""

    server: Server
    server_version, sys_version, timeout = "model", "", PATIENCE

    def do_GET(self) -> None:
        self._answered(self._page)

    def do_POST(self) -> None:
        self._answered(self._predicted)

    def _answered(self, work: Callable[[], None]) -> None:
        try:
            _ours(self.headers.get("Host"), self.headers.get("Origin"), self.server.server_port)
            work()
        except Refused as error:
            self.close_connection = True  # what is left of the request is not read
            self._fault(error.status, str(error))
        except Exception as error:  # whatever a network does with an image: the page says so, the server goes on
            self._fault(HTTPStatus.INTERNAL_SERVER_ERROR, f"the model failed ({type(error).__name__}: {error}).")

    def _page(self) -> None:
        if urlsplit(self.path).path != "/":
            raise Refused(HTTPStatus.NOT_FOUND, f"a path must be /. Got {self.path[:80]}.")
        self._send(HTTPStatus.OK, self.server.document, "text/html; charset=utf-8")

    def _predicted(self) -> None:
        if urlsplit(self.path).path != "/predict":
            raise Refused(HTTPStatus.NOT_FOUND, f"images must be sent to /predict. Got {self.path[:80]}.")
        data = self.rfile.read(_length(self.headers.get("Content-Length")))
        with self.server.turn:  # one image at a time: two would only slow each other down
            found = answer(self.server.model, data)
        self._send(HTTPStatus.OK, json.dumps(found, ensure_ascii=False).encode(), "application/json")

    def _fault(self, status: HTTPStatus, why: str) -> None:
        self._send(status, json.dumps({"error": why}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written down of what is asked."""


def server(model: TrainedModel, port: int) -> Server:
    """A server for a model, bound to a port of the loopback interface (0: any); ConfigError where it is taken."""
    try:
        return Server(model, port)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "no port has this number"
        raise ConfigError(
            f"port must be free on this machine. Got {port} ({why}). Give another, or port=0 for any that is free."
        ) from None


def _ours(host: str | None, origin: str | None, port: int) -> None:
    """Refused where a request does not name this server: a page from elsewhere that found its way here."""
    if not _is_loopback(f"//{host}" if host else ""):
        raise Refused(HTTPStatus.FORBIDDEN, f"Host must be {ADDRESS} or localhost. Got {str(host)[:80]}.")
    if origin is not None and not (_is_loopback(origin) and urlsplit(origin).port == port):
        raise Refused(HTTPStatus.FORBIDDEN, f"Origin must be this page. Got {origin[:80]}.")


def _is_loopback(address: str) -> bool:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    return parts.hostname in LOOPBACK and "@" not in parts.netloc


def _length(given: str | None) -> int:
    """The bytes that a request has; Refused before any is read."""
    if given is None:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "an image must come with its Content-Length. Got none.")
    if not re.fullmatch(r"[0-9]{1,18}", given) or int(given) == 0:
        raise Refused(HTTPStatus.BAD_REQUEST, f"Content-Length must be a number above 0. Got {given[:40]}.")
    if int(given) > LARGEST:
        most = f"{LARGEST // 2**20} MB"
        why = f"an image must have at most {most}. Got {int(given) / 2**20:.0f} MB. Make it smaller."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
    return int(given)
