"""One process of Locust: `python -m perfproof_airflow.load_engine_locust.process SETTINGS.json`, started by the conductor or by `remote`.

Roles: `alone` sends; `worker` sends too, and reports to the `master`, which only directs. Each line on the standard output is a JSON
object for the conductor; what a journey prints goes to the standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from perfproof_airflow.load_engine_locust import EXIT_BAD_FILE, EXIT_LEASE_LOST, EXIT_WITHOUT_LOCUST
from perfproof_airflow.load_engine_locust.addresses import AddressGuard, Listed
from perfproof_airflow.load_engine_locust.traffic import Traffic
from perfproof_airflow.load_engine_locust.watch import Watch, content_of, die_with_parent

REPORT_SECONDS = 0.25
FAREWELL_SECONDS = 1.5
READY, BEGIN, REPORT, LEASE, END = (f"perfproof-{name}" for name in ("ready", "begin", "report", "lease", "end"))
MASTER = "127.0.0.1"


class LocustProcess:
    """What all roles share: guard, watch, journeys, and the way to tell the conductor."""

    def __init__(self, settings: dict[str, Any], out: int) -> None:
        self.settings = settings
        self._out = out
        self._lease = b"0"
        self._refusal: str | None = None
        lease, parent = settings["lease"], settings["parent"]
        if parent is not None:
            die_with_parent(parent)
        self.renewal = content_of(Path(lease)) if lease is not None else lambda: self._lease
        # A worker elsewhere learns of the lease from the master, so it may wait for one.
        self.watch = Watch(self.renewal, seconds=settings["deadline"], parent=parent, patience=settings["patience"])
        if lease is not None:
            self.watch.start()
        self.guard = AddressGuard([Listed(host, port) for host, port in settings["allow"]], on_refused=self._refuse)
        self.guard.install()
        self.gevent, self.locust = _import_locust()
        self.traffic = Traffic(rate=settings["rate"], timeout=settings["timeout"], pause=self.gevent.sleep)
        self.traffic.wrap(importlib.import_module("locust.clients").HttpSession, fast=False)
        self.traffic.wrap(importlib.import_module("locust.contrib.fasthttp").FastHttpSession, fast=True)
        self.environment = self._environment()
        self.cpu_at_begin = 0.0
        self.began = 0.0

    def run(self) -> None:
        """Until the load is over, or somebody ends it."""
        role = {"alone": self._alone, "worker": self._worker, "master": self._master}
        role[self.settings["role"]]()

    def say(self, **line: Any) -> None:
        """One line to the conductor. Whoever does not listen any more is gone."""
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def _environment(self) -> Any:
        load = importlib.import_module("locust.util.load_locustfile").load_locustfile
        self.guard.forbid_processes()
        try:
            users, shapes = load(self.settings["locustfile"])
        except BaseException as error:
            self._bad_file(f"{type(error).__name__}: {error}")
        if shapes or not users:
            self._bad_file("it has a shape of its own" if shapes else "it has no user class")
        timeout = self.settings["timeout"]
        for user in users.values():
            user.host = self.settings["url"]
            for limit in ("network_timeout", "connection_timeout"):
                if hasattr(user, limit):
                    setattr(user, limit, min(getattr(user, limit), timeout))
        self.locust.events.request.add_listener(self.traffic.record)
        make = importlib.import_module("locust.env").Environment
        return make(user_classes=list(users.values()), host=self.settings["url"], events=self.locust.events)

    def _bad_file(self, reason: str) -> None:
        self.say(bad_file=reason[:500])
        os._exit(EXIT_BAD_FILE)

    def _refuse(self, reason: str) -> None:
        # From within a connect: only note it, and start nothing more.
        self._refusal = self._refusal or reason
        traffic = getattr(self, "traffic", None)
        if traffic is not None:
            traffic.closed = True

    def _begin(self) -> float:
        self.cpu_at_begin = time.process_time()
        self.began = self.traffic.begin(seconds=self.settings["seconds"])
        self.watch.begin()
        return self.began

    def _report(self) -> dict[str, Any]:
        spent, seconds = time.process_time() - self.cpu_at_begin, max(time.monotonic() - self.began, 1e-9)
        passed, self.guard.passed = self.guard.passed, 0
        report = {
            "rows": self.traffic.take_rows(),
            "open": self.traffic.open_since,
            "cpu": round(100.0 * spent / seconds, 1),
            "connections": passed,
        }
        return {**report, "refusal": self._refusal} if self._refusal else report

    def _send_until_over(self, tell: Any) -> None:
        """Reports until no request is open any more, or has been for longer than a time-out."""
        deadline = None
        while deadline is None or (self.traffic.open_since and time.monotonic() < deadline):
            self.gevent.sleep(REPORT_SECONDS)
            tell(self._report())
            if self.traffic.over and deadline is None:
                deadline = time.monotonic() + self.settings["timeout"] + 1.0
        self.traffic.give_up()
        tell({**self._report(), "done": True})

    def _alone(self) -> None:
        runner = self.environment.create_local_runner()

        def end() -> None:
            self.traffic.give_up()
            self.say(worker="alone", report={**self._report(), "done": True})
            os._exit(0)

        self.gevent.signal_handler(signal.SIGTERM, end)
        self.say(began=self._begin(), version=self.locust.__version__)
        self.gevent.spawn(runner.start, self.settings["users"], self.settings["spawn_rate"])
        self._send_until_over(lambda report: self.say(worker="alone", report=report))
        os._exit(0)

    def _worker(self) -> None:
        runner = self.environment.create_worker_runner(MASTER, self.settings["port"])
        begun = self.gevent.event.Event()

        def tell(report: dict[str, Any]) -> None:
            runner.send_message(REPORT, report)

        def begin(**named: Any) -> None:
            if named["msg"].data["plan"] != self.settings["plan"]:
                sys.stderr.write("the master runs another plan\n")
                os._exit(EXIT_BAD_FILE)
            if self.settings["lease"] is None:
                self.watch.start()
            self._begin()
            begun.set()

        def renew(**named: Any) -> None:
            self._lease = str(named["msg"].data).encode()

        def end(**_: Any) -> None:
            if not self.traffic.given_up:
                self.traffic.give_up()
                tell({**self._report(), "done": True})
            self.gevent.spawn_later(0.3, os._exit, 0)

        for kind, listener in ((BEGIN, begin), (LEASE, renew), (END, end)):
            runner.register_message(kind, listener)
        self.gevent.signal_handler(signal.SIGTERM, end)
        # A begin that came before its listener would be lost.
        runner.send_message(READY, None)
        if not begun.wait(self.settings["patience"]):
            os._exit(EXIT_LEASE_LOST)
        self._send_until_over(tell)
        self.gevent.sleep(FAREWELL_SECONDS)
        os._exit(0)

    def _master(self) -> None:
        runner = self.environment.create_master_runner(MASTER, self.settings["port"])
        ready: list[str] = []
        done: set[str] = set()

        def heard(**named: Any) -> None:
            message = named["msg"]
            self.say(worker=message.node_id, report=message.data)
            if message.data.get("done"):
                done.add(message.node_id)

        def wait_for_all(seconds: float) -> None:
            until = time.monotonic() + seconds
            while len(done) < self.settings["workers"] and time.monotonic() < until:
                self.gevent.sleep(0.05)

        def end() -> None:
            runner.send_message(END, None)
            wait_for_all(FAREWELL_SECONDS)
            self.say(ended=len(done))
            os._exit(0)

        runner.register_message(REPORT, heard)
        runner.register_message(READY, lambda **named: ready.append(named["msg"].node_id))
        self.gevent.signal_handler(signal.SIGTERM, end)
        self.say(port=runner.server.port)
        self.gevent.spawn(self._pass_lease_on, runner)
        while len(ready) < self.settings["workers"]:
            self.gevent.sleep(0.05)
        # One more than planned would be more load than planned; it never begins.
        for worker in ready[: self.settings["workers"]]:
            runner.send_message(BEGIN, {"plan": self.settings["plan"]}, client_id=worker)
        self.say(began=self._begin(), version=self.locust.__version__)
        self.gevent.spawn(runner.start, self.settings["users"], self.settings["spawn_rate"])
        wait_for_all(self.settings["deadline"])
        end()

    def _pass_lease_on(self, runner: Any) -> None:
        while True:
            runner.send_message(LEASE, self.renewal().decode(errors="replace"))
            self.gevent.sleep(0.5)


def _import_locust() -> tuple[Any, Any]:
    try:
        locust = importlib.import_module("locust")
        gevent = importlib.import_module("gevent")
        importlib.import_module("gevent.event")
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(EXIT_WITHOUT_LOCUST)
    return gevent, locust


def main(path: Path) -> None:
    """Runs the process that the settings in `path` describe."""
    out = os.dup(1)
    os.set_inheritable(out, False)
    os.dup2(2, 1)
    LocustProcess(json.loads(path.read_bytes()), out).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
