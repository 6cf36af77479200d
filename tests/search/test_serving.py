"""The page to drop images on: what the server answers, what it refuses, and the page in a browser."""

from __future__ import annotations

import html
import http.client
import io
import json
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmark import predict
from benchmark.errors import ConfigError
from benchmark.search import serving
from benchmark.search.trained_model import TrainedModel
from tests.search.test_predict import NAMES, save
from tests.tiny import spec

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def png(seed: int = 0) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(out, "png")
    return out.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    found = {"temperature": 2.0, "threshold": 0.2, "images": 40, "error_before": 5.0, "error_after": 3.0}
    return TrainedModel.load(save(tmp_path_factory.mktemp("model"), spec(), calibration=found)[0], device="cpu")


@contextmanager
def listening(model):
    server = serving.server(model, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def port(model):
    with listening(model) as number:
        yield number


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, str]:
    """Status, Content-Security-Policy and text; Content_Length=none leaves that header out."""
    given = {"Host": f"127.0.0.1:{port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    if body is not None and "Content-Length" not in given:
        given["Content-Length"] = str(len(body))
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.putrequest(method, path, skip_host=True)
    for name, value in given.items():
        if value != "none":
            line.putheader(name, value)
    line.endheaders(body if given.get("Content-Length") == str(len(body or b"")) else None)
    reply = line.getresponse()
    text = reply.read().decode()
    line.close()
    return reply.status, reply.headers.get("Content-Security-Policy", ""), text


def test_an_image_gets_the_probabilities_that_predicting_it_gives(model, port):
    status, _, text = ask(port, "POST", "/predict", png())
    found = json.loads(text)
    expected = model.probabilities([model.seen(png(), "x")])[0]
    assert status == 200
    ranked = np.argsort(-expected)
    assert [c["name"] for c in found["classes"]] == [NAMES[k] for k in ranked]
    assert [c["probability"] for c in found["classes"]] == pytest.approx(expected[ranked], abs=1e-4)
    assert found["named"] == [NAMES[ranked[0]]]


def test_below_the_threshold_nothing_is_named(model):
    about = SimpleNamespace(**vars(model.about) | {"calibration": {"temperature": 50.0, "threshold": 0.9, "images": 9}})
    unsure = TrainedModel(about, model.module)
    found = serving.answer(unsure, png())
    assert (found["named"], found["none"]) == ([], "none of these")


def test_the_page_needs_nothing_from_elsewhere_and_its_browser_may_ask_this_server_alone(port):
    status, policy, text = ask(port, "GET", "/")
    assert status == 200
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert not re.findall(r"(?:src|href)=\"(?!data:)[^\"]+\"", text)
    assert "accuracy 76.5 % on 9 test images" in text
    assert "cat, dog, small, [red]" in text


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "said"),
    [
        ("GET", "/", {"Host": "evil.example"}, 403, "Host must be 127.0.0.1 or localhost. Got evil.example"),
        ("GET", "/", {"Host": "127.0.0.1.evil.example:80"}, 403, "Host must be"),
        ("GET", "/", {"Host": "localhost@evil.example"}, 403, "Host must be"),
        ("GET", "/", {"Host": "none"}, 403, "Host must be"),
        ("GET", "/", {"Host": "127.0.0.1:port"}, 403, "Host must be"),
        (
            "POST",
            "/predict",
            {"Origin": "http://evil.example"},
            403,
            "Origin must be this page. Got http://evil.example",
        ),
        ("POST", "/predict", {"Origin": "http://127.0.0.1:1"}, 403, "Origin must be this page"),
        ("POST", "/predict", {"Origin": "null"}, 403, "Origin must be this page"),
        ("GET", "/etc/passwd", {}, 404, "a path must be /."),
        ("POST", "/", {"Content_Length": "3"}, 404, "images must be sent to /predict"),
        ("POST", "/predict", {}, 411, "Content-Length. Got none"),
        ("POST", "/predict", {"Content_Length": "-1"}, 400, "Content-Length must be a number above 0. Got -1"),
        ("POST", "/predict", {"Content_Length": "0"}, 400, "above 0"),
        ("POST", "/predict", {"Content_Length": "52428801"}, 413, "at most 50 MB. Got 50 MB. Make it smaller"),
    ],
)
def test_what_is_not_answered(port, method, path, headers, status, said):
    found = ask(port, method, path, **headers)
    assert found[0] == status
    assert said in json.loads(found[2])["error"]


def test_localhost_is_this_machine_too(port):
    assert ask(port, "GET", "/", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_what_is_no_image_is_said_and_the_server_goes_on(port):
    status, _, text = ask(port, "POST", "/predict", b"no picture at all")
    assert status == 422
    said = (
        "an image must be readable. Got the file (no kind of image that Pillow reads). Drop a photograph or a picture."
    )
    assert json.loads(text)["error"] == said
    status, _, text = ask(port, "POST", "/predict", png()[:200])
    assert status == 422
    assert ask(port, "POST", "/predict", png())[0] == 200


def test_a_model_that_fails_is_said(model, monkeypatch):
    monkeypatch.setattr(serving, "answer", lambda *_: 1 / 0)
    with listening(model) as port:
        status, _, text = ask(port, "POST", "/predict", png())
    assert (status, json.loads(text)["error"]) == (500, "the model failed (ZeroDivisionError: division by zero).")


def test_it_listens_on_this_machine_alone_and_a_taken_port_is_said(model, port):
    assert serving.ADDRESS == "127.0.0.1"
    with pytest.raises(ConfigError, match=rf"port must be free on this machine. Got {port} \(Address already in use\)"):
        serving.server(model, port)


def test_serve_takes_no_images(tmp_path, capsys):
    file, _ = save(tmp_path, spec())
    assert predict.main([f"model={file}", "serve=true", str(tmp_path)]) == 2
    assert "serve must come without images" in capsys.readouterr().err


def test_the_command_says_where_the_page_is_and_ends_with_ctrl_c(tmp_path):
    import signal

    file, _ = save(tmp_path, spec())
    call = [sys.executable, "-m", "benchmark.predict", f"model={file}", "serve=true", "port=0"]
    process = subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job ignores SIGINT and hands that on: as from a terminal, it is heard here
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert "Ctrl+C ends it" in process.stdout.readline()
        number = int(address.rstrip("/").rpartition(":")[2])
        assert ask(number, "POST", "/predict", png())[0] == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Traceback" not in said
    finally:
        process.kill()  # whatever failed, nothing goes on serving
        process.communicate()


DROPPED = """<script>
window.addEventListener("load", async () => {
  const held = new DataTransfer(), bytes = Uint8Array.from(atob("IMAGE"), c => c.charCodeAt(0));
  held.items.add(new File([bytes], "photo <b>.png", {type: "image/png"}));
  held.items.add(new File(["no picture"], "notes.txt", {type: "text/plain"}));
  document.getElementById("zone").dispatchEvent(new DragEvent("drop", {dataTransfer: held, bubbles: true}));
  while (document.querySelectorAll("[data-done]").length < 2) await new Promise(r => setTimeout(r, 20));
  const texts = q => Array.from(document.querySelectorAll(q)).map(e => e.textContent);
  const out = {heads: texts(".answer h2"), files: texts(".answer p:not(.fault)"), faults: texts(".fault"),
    shares: texts(".share span:last-child"), names: texts(".share span:first-child"),
    beyond: document.documentElement.scrollWidth - window.innerWidth};
  const pre = document.createElement("pre"); pre.className = "outcome"; pre.textContent = JSON.stringify(out);
  document.body.append(pre);
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_an_image_that_is_dropped_in_a_browser_is_named_and_another_file_is_refused(model, tmp_path, monkeypatch):
    import base64

    plain = serving.page(model)
    script = DROPPED.replace("IMAGE", base64.b64encode(png()).decode())
    monkeypatch.setattr(serving, "page", lambda _: plain.replace("</body>", f"{script}</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=20000", "--window-size=390,900", "--dump-dom"]
    with listening(model) as port:
        call = [str(CHROMIUM), *flags, f"http://127.0.0.1:{port}/"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre class="outcome">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    expected = serving.answer(model, png())
    assert seen["heads"] == ["no answer", expected["named"][0]]
    assert seen["files"] == ["notes.txt", "photo <b>.png"]
    assert seen["names"] == [c["name"] for c in expected["classes"]]
    shown = [float(share.removesuffix(" %")) for share in seen["shares"]]
    assert shown == pytest.approx(
        [100 * c["probability"] for c in expected["classes"]], abs=0.051
    )  # a tenth, either way
    assert len(seen["faults"]) == 1
    assert "an image must be readable" in seen["faults"][0]
    assert seen["beyond"] <= 0
