import asyncio
import os
import sys

import pytest
from tests.engine.homes import HandClock

from earshot.engine.supervise import BACKOFF_S, WRONG_USE, Supervisor

NOTE = "import os,sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n');"
"""A line in a file for each start."""
STARTS = "len(open(sys.argv[1]).readlines())"


def started(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


class Sleeps:
    def __init__(self, clock, most=50):
        self.clock, self.waits, self.most = clock, [], most

    async def __call__(self, seconds):
        self.waits.append(seconds)
        self.clock.move(seconds)
        if len(self.waits) >= self.most:
            await asyncio.Event().wait()


def supervisor(path, code, clock=None, **more):
    clock = clock or HandClock()
    sleep = Sleeps(clock, more.pop("most", 50))
    return Supervisor(["-S", "-c", NOTE + code, str(path)], clock, sleep=sleep, **more), sleep


def test_a_process_that_dies_is_started_again_ever_later(tmp_path):
    """It kills itself seven times, and then says that it cannot run."""
    path = tmp_path / "starts"
    code = "os.kill(os.getpid(), 9) if " + STARTS + " < 8 else sys.exit(2)"
    watch, sleep = supervisor(path, code)
    assert asyncio.run(watch.run()) == WRONG_USE
    assert sleep.waits == [*BACKOFF_S, BACKOFF_S[-1]]
    assert (watch.restarts, len(started(path))) == (7, 8)


def test_wrong_use_is_not_tried_again(tmp_path):
    path = tmp_path / "starts"
    watch, sleep = supervisor(path, "sys.exit(2)")
    assert asyncio.run(watch.run()) == 2
    assert (len(started(path)), sleep.waits) == (1, [])


def test_a_process_that_somebody_stopped_is_started_again(tmp_path):
    path = tmp_path / "starts"
    watch, _ = supervisor(path, "sys.exit(0 if " + STARTS + " < 2 else 2)")
    assert asyncio.run(watch.run()) == 2
    assert len(started(path)) == 2


async def cancelled_once_it_runs(watch, path):
    task = asyncio.create_task(watch.run())
    while not started(path):  # noqa: ASYNC110 - a file tells no event
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_cancelled_it_asks_the_process_to_stop_and_waits_for_it(tmp_path):
    path, said = tmp_path / "starts", tmp_path / "said"
    handler = f"lambda *_: (open({str(said)!r}, 'w').write('tidy'), sys.exit(0))"
    code = f"import signal,sys,time;signal.signal(15, {handler});{NOTE}time.sleep(60)"
    watch = Supervisor(["-S", "-c", code, str(path)], HandClock())
    asyncio.run(cancelled_once_it_runs(watch, path))
    assert said.read_text() == "tidy"
    assert gone(started(path)[0])


def test_a_process_that_will_not_stop_is_killed(tmp_path):
    path = tmp_path / "starts"
    code = "import signal,time;signal.signal(15, signal.SIG_IGN);" + NOTE + "time.sleep(60)"
    watch = Supervisor(["-S", "-c", code, str(path)], HandClock(), grace_s=0.2)
    asyncio.run(cancelled_once_it_runs(watch, path))
    assert gone(started(path)[0])


def test_a_machine_that_can_start_nothing_for_a_while_is_waited_for(tmp_path, monkeypatch):
    path, real, refused = tmp_path / "starts", sys.executable, []
    watch, sleep = supervisor(path, "sys.exit(2)")

    async def start(executable, *args):
        refused.append(1)
        if len(refused) < 3:
            raise OSError(11, "Resource temporarily unavailable")
        return await exec_(real, *args)

    exec_ = asyncio.create_subprocess_exec
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    assert asyncio.run(watch.run()) == 2
    assert sleep.waits == [0.5, 1.0]
