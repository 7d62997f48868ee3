"""What only whole processes show: signals, ports, who outlives whom."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from tests.engine.homes import lines, settings_in, tweet

from earshot.engine.home import engine_runs, store_of

EARSHOT = (sys.executable, "-m", "earshot.cli")


class Running:
    """A command in a process of its own, and what it says."""

    def __init__(self, home, *arguments):
        self.process = subprocess.Popen(
            [*EARSHOT, "--home", str(home), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        )
        self.lines, self.news = [], threading.Condition()
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _follow(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def says(self, pattern, *, seconds=120):
        def found():
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self.news:
            done = self.news.wait_for(lambda: found() or not self._follower.is_alive(), seconds)
        assert done, f"no {pattern!r} in:\n" + "\n".join(self.lines[-40:])
        assert found(), "it ended:\n" + "\n".join(self.lines[-40:])
        return found()

    def ended(self, seconds=60):
        code = self.process.wait(seconds)
        self._follower.join(10)
        return code

    def tidy(self):
        if self.process.poll() is None:
            for process in (*children(self.process.pid), self.process):
                process.kill()
        self.process.wait()
        self._follower.join(10)
        self.process.stdin.close()
        self.process.stdout.close()


def children(pid):
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*arguments):
        started.append(Running(tmp_path / "home", *arguments))
        return started[-1]

    yield begin
    for running in started:
        running.tidy()


def until(holds, *, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def engine_of(up):
    """The engine's process, once it holds the home."""
    up.says("engine started")
    (engine,) = children(up.process.pid)
    return engine


# -- up ------------------------------------------------------------------------------------
def test_up_stops_in_good_order_and_a_second_one_is_refused_meanwhile(start):
    up = start("up", "--no-collect", "--port", "0")
    up.says("setup.code=")
    engine = engine_of(up)
    second = start("up", "--no-collect", "--port", "0")
    assert second.ended() == 2
    assert any("runs already" in line for line in second.lines)
    up.process.send_signal(signal.SIGTERM)
    assert up.ended() == 0
    assert not engine.is_running()
    assert any("engine stopped" in line for line in up.lines)
    assert not any("Traceback" in line for line in up.lines)


def test_an_engine_that_is_killed_is_started_again_and_none_outlives_its_parent(start, tmp_path):
    up = start("up", "--no-collect", "--port", "0")
    engine = engine_of(up)
    engine.kill()
    up.says("engine died")
    until(lambda: sum("engine started" in line for line in up.lines) == 2, seconds=60)
    (engine,) = children(up.process.pid)
    up.process.kill()
    until(lambda: not engine.is_running())
    until(lambda: not engine_runs(settings_in(tmp_path)))


def test_a_port_that_is_taken_is_named_before_anything_is_started(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = start("up", "--no-collect", "--port", port)
        assert up.ended() == 2
    assert f"cannot listen on 127.0.0.1:{port}" in up.lines[0]
    assert "--port" in up.lines[1]
    assert not (tmp_path / "home" / "data" / "log.db").exists()


def test_a_source_that_is_unknown_is_named_before_anything_is_started(start):
    up = start("up", "--source", "twiter:", "--port", "0")
    assert up.ended() == 2
    assert "nothing handles 'twiter:'" in up.lines[0]


# -- replay --------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_stopped_keeps_what_came_and_goes_on_at_its_cursor(
    start, tmp_path, number
):
    """At the archive's own pace its last post comes an hour after the others."""
    path, n = tmp_path / "x.jsonl", 4000
    at = tweet(0)["created_at"]
    later = at.replace("12:00:00", "13:00:00")
    said = [tweet(k) for k in range(n)]
    said += [{**tweet(n), "created_at": later}]
    path.write_text(lines(*said))

    first = start("replay", "--json", path, "--speed", "1x")
    first.says("catching_up")
    counted = tmp_path / "home" / "data" / "store.db"
    until(lambda: counted.exists() and stored(tmp_path) >= n, seconds=90)
    first.process.send_signal(number)
    assert first.ended() == 128 + number
    assert not any("Traceback" in line for line in first.lines)
    assert stored(tmp_path) == n

    second = start("replay", "--json", path)
    assert second.ended() == 0
    brought = json.loads(second.lines[-1])
    assert (brought["unique"], brought["duplicate"]) == (1, 0)


def stored(folder):
    with store_of(settings_in(folder)) as store:
        return sum(n for _, _, name, n in store.counts().iter_rows() if name == "unique")


def test_a_replay_that_waits_for_a_pipe_can_be_stopped(start, tmp_path):
    replay = start("replay", "-")
    replay.process.stdin.write(lines(tweet(1)))
    replay.process.stdin.flush()
    until(lambda: engine_runs(settings_in(tmp_path)))
    replay.process.send_signal(signal.SIGTERM)
    assert replay.ended(40) == 143


def test_the_object_is_the_last_line_of_standard_output(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(lines(tweet(1), "{torn"))
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "earshot.cli",
            "--home",
            tmp_path / "home",
            "replay",
            "--json",
            path,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(ended.stdout.splitlines()) == 1
    assert json.loads(ended.stdout)["consumed"] == 2
