"""A process of its own for the estimators of others: what befalls one of them befalls nothing else.

One that crashes the interpreter, ends it, is killed for memory or never returns costs its own score and no other's.
Nor can it change what others are given: it gets copies of the arrays, read-only, and one that writes to them all the
same, through a tensor or a view, has failed. The methods of this project run where the scores are made, since they
share their factorisations; one with a `timeout` runs here as well.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import dataclasses
import faulthandler
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmark.config.functions import GivenMethod, MethodSpec
from benchmark.scoring.call import Lazy, Lost, Result, call, call_bank, shares
from benchmark.surroundings import THREAD_VARIABLES
from benchmark.wording import one_line

TIMEOUT = 600.0
"""Seconds that a method may take on one draw where its configuration says nothing else; and its import."""

GRACE = 30.0
"""Seconds after which a process that should have been ended ends itself."""

LOOK = 1.0
"""Seconds between two looks at whether the process lives."""

Answer = TypeVar("Answer")

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from benchmark.scoring.isolation import serve; serve()"
)


def isolated(method: MethodSpec) -> bool:
    """Whether a method runs in a process of its own: a stranger's, or one whose time is limited."""
    if isinstance(method, GivenMethod):
        return False
    return method.timeout is not None or method.function_path.partition(".")[0] != "methods"


def score(method: MethodSpec, arrays: Mapping[str, object], more: Mapping[str, object]) -> Result:
    """What a method makes of a draw, wherever it belongs; raises Lost where nothing is left to keep.

    arrays  as from `benchmark.scoring.score.drawn`, the same for all methods of a draw
    more    what else it may ask for: model, seed, n_classes
    """
    if isolated(method):
        return isolation().call(method, arrays, more, arrays["labels"], Result)
    return call(method, {**arrays, **more})


def score_bank(method: MethodSpec, arrays: Mapping[str, object], more: Mapping[str, object]) -> tuple[Result, ...]:
    """What a method of the whole bank makes of a draw, a result a model; otherwise as `score`.

    arrays  as from `benchmark.scoring.whole_bank.drawn`
    """
    if isolated(method):
        return isolation().call(method, arrays, more, arrays["bank_labels"], tuple)
    return call_bank(method, {**arrays, **more})


def isolation() -> Isolation:
    """This process's own, made when it is first asked for."""
    return _isolation(os.getpid(), threading.get_ident())


@cache
def _isolation(_process: int, _thread: int) -> Isolation:
    made = Isolation()
    atexit.register(made.close)
    return made


class Isolation:
    """A process that calls one method after another; it is started again when it has come to an end."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.draw: object = None
        self.held: set[str] = set()

    def call(
        self,
        method: MethodSpec,
        arrays: Mapping[str, object],
        more: Mapping[str, object],
        draw: object,
        kind: type[Answer],
    ) -> Answer:
        """What a method makes of a draw: a result, or one a model of a bank.

        arrays  the draw's arrays, each of which is sent once
        more    what else the method may ask for; draw: by which it is told from others, its labels, the very object
        Raises Lost where the process died, or had to be ended after `method.timeout` seconds.
        """
        limit = method.timeout or TIMEOUT
        try:
            self._begin(method, draw)
            needs = self._receive(tuple, TIMEOUT, f"its import took more than {TIMEOUT:g} s")
            new = {n: getattr(arrays[n], "given", arrays[n]) for n in needs if n in arrays and n not in self.held}
            self.pipe.send((new, more))
            self.held |= new.keys()
            advice = f"method.{method.name}.timeout sets another limit"
            return self._receive(kind, limit, f"it took more than {limit:g} s ({advice})")
        except (EOFError, OSError):
            raise Lost(self._obituary()) from None
        except BaseException as error:
            if not isinstance(error, Lost):  # interrupted: an answer may still come, which is not the next method's
                self.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.pipe.close()
            os.close(self.lifeline)
            self.dump.close()
        self.process = None

    def _begin(self, method: MethodSpec, draw: object) -> None:
        """Name the method to the process; it forgets another draw's arrays."""
        for again in (True, False):
            if self.process is None or self.process.poll() is not None:
                self.close()
                self._start()
                self.draw = None
            try:
                self.pipe.send((method, self.draw is not draw))
            except OSError:  # it died while it had nothing to do
                self.close()
                if not again:
                    raise
                continue
            if self.draw is not draw:
                self.draw, self.held = draw, set()
            return

    def _start(self) -> None:
        self.pipe, theirs = Pipe()
        ends, self.lifeline = os.pipe()  # whose other end closes with this process, however that ends
        self.dump = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        handles = (theirs.fileno(), ends, self.dump.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(sys.path), *map(str, handles)],
            stdin=subprocess.DEVNULL,
            pass_fds=handles,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, "1"),
        )
        theirs.close()
        os.close(ends)

    def _receive(self, kind: type[Answer], seconds: float, too_long: str) -> Answer:
        """The next answer.

        Raises EOFError where the process has died; Lost where that is the answer, and where it takes too long, which
        ends the process.
        """
        process, end = self.process, time.monotonic() + seconds
        while process is not None and (left := end - time.monotonic()) > 0:
            dead = process.poll() is not None
            if self.pipe.poll(0 if dead else min(left, LOOK)):
                answer = self.pipe.recv()
                if isinstance(answer, kind):
                    return answer
                raise answer if isinstance(answer, Lost) else EOFError
            if dead:  # what it started itself may hold the pipe open
                raise EOFError
        if process is None:
            raise EOFError
        process.send_signal(signal.SIGABRT)  # on which it writes down where it is
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        where = self._where()
        self.close()
        raise Lost(f"{too_long}{where}")

    def _obituary(self) -> str:
        """How the process ended."""
        if self.process is None:
            return "its process could not be started"
        code = self.process.wait()
        where = self._where()
        self.close()
        if code == -signal.SIGKILL:
            return "its process was killed, perhaps for want of memory"
        if code < 0:
            return f"its process died ({signal.strsignal(-code)}){where}"
        return f"it ended its process with exit code {code}{where}"

    def _where(self) -> str:
        """The innermost line of Python in which the process was when it was ended, if that is known."""
        self.dump.seek(0)
        text = self.dump.read().decode(errors="replace").partition("Current thread")[2]
        found = re.search(r'File "([^"]*)", line (\d+) in (.*)', text)
        return f" at {one_line(Path(found[1]).name)}, line {found[2]}, in {one_line(found[3])}" if found else ""


def serve() -> None:
    """The life of the process: learn of a method, say what it needs, take that, say what it made of it."""
    pipe, lifeline, dump = (int(handle) for handle in sys.argv[2:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who can tidy up
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(dump)
    threading.Thread(target=lambda: (os.read(lifeline, 1), os._exit(1)), daemon=True).start()
    importlib.import_module(
        "methods.shared.linalg"
    )  # takes a second, which is not to count for the first method's timeout
    arrays: dict[str, object] = {}
    with contextlib.suppress(EOFError, OSError), Connection(pipe) as connection:
        while True:
            method, another_draw = connection.recv()
            arrays = {} if another_draw else arrays
            needs = _attempt(partial(_needs, method))
            connection.send(needs)
            if isinstance(needs, Lost):
                continue
            new, more = connection.recv()
            arrays |= new
            faulthandler.dump_traceback_later((method.timeout or TIMEOUT) + GRACE, exit=True, file=dump)
            connection.send(_attempt(partial(guarded, method, {**arrays, **more})))
            faulthandler.cancel_dump_traceback_later()


def _needs(method: MethodSpec) -> tuple[str, ...]:
    return method.needs


def _attempt(work: Callable[[], Answer]) -> Answer | Lost:
    """What the work returns; Lost in place of an exception that is not the method's own."""
    try:
        return work()
    except (Exception, SystemExit) as error:
        return error if isinstance(error, Lost) else Lost(one_line(f"{type(error).__name__}: {error}"))


def guarded(method: MethodSpec, arrays: Mapping[str, object]) -> Result | tuple[Result, ...]:
    """What a method makes of read-only copies of the arrays; it has failed where it wrote to them all the same.

    A result; of a method of the whole bank one a model.
    """
    from methods.shared.linalg import Features

    own = {name: _copy(arrays[name]) for name in method.needs if arrays.get(name) is not None}
    given = dict(own)
    for name in ("features", "source_features", "reference_features") if shares(method.function) else ():
        if isinstance(array := own.get(name), np.ndarray):
            given[name] = Features(array)
    results = call_bank(method, {**arrays, **given}) if method.over_bank else (call(method, {**arrays, **given}),)
    changed = [name for name, value in own.items() if not _same(value, arrays[name])]
    if changed:
        reason = f"it wrote to {', '.join(changed)}, which must stay as given. Copy them first."
        failed: dict[str, Any] = {"value": None, "status": "failed", "reason": reason, "parts": {}}
        results = tuple(dataclasses.replace(result, **failed) for result in results)
    return results if method.over_bank else results[0]


def _copy(value: object) -> object:
    if isinstance(value, Lazy):  # made for this call alone
        return value
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    if not isinstance(value, np.ndarray):
        return copy.deepcopy(value)
    made = value.copy()
    made.flags.writeable = False
    return made


def _same(one: object, other: object) -> bool:
    """Whether two are equal to the last bit."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return one == other
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
