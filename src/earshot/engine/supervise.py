"""Keeps the pipeline's own process running: restarts with back-off, ends it in good order."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from earshot.clock import Clock

say = structlog.get_logger(__name__)

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S: Final = 30.0
"""A process that lived this long starts its back-off anew."""
GRACE_S: Final = 20.0
"""How long a process may take to finish its batch after SIGTERM."""
WRONG_USE: Final = 2
"""Exit code that no restart can mend (bad configuration, another engine holds the home)."""

Sleep = Callable[[float], Awaitable[Any]]


class Supervisor:
    """Runs a Python command line and starts it again whenever it ends."""

    def __init__(
        self,
        command: Sequence[str],
        clock: Clock,
        *,
        grace_s: float = GRACE_S,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._command, self._clock = list(command), clock
        self._grace_s, self._sleep = grace_s, sleep
        self.restarts = 0

    async def run(self) -> int:
        """Until cancelled (then the process is asked to stop), or until it says wrong use.

        Returns:
            WRONG_USE: the one exit code after which it is not started again.
        """
        tries = 0
        while True:
            began = self._clock.monotonic()
            code = await self._once()
            if code == WRONG_USE:
                say.error("engine cannot run as it is configured", exit_code=code)
                return code
            self.restarts += 1
            tries = 0 if self._clock.monotonic() - began > STEADY_S else tries
            wait = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
            tries += 1
            say.error("engine died", exit_code=code, restarts=self.restarts, wait_s=wait)
            await self._sleep(wait)

    async def _once(self) -> int | None:
        """Run it once; None: it could not be started."""
        try:
            process = await asyncio.create_subprocess_exec(sys.executable, *self._command)
        except OSError as e:  # too many processes, no memory: both may pass
            say.error("engine cannot be started", why=str(e))
            return None
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await self._stop(process)
            raise

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._grace_s)
        except TimeoutError:
            say.error("engine did not stop in time and is killed", grace_s=self._grace_s)
            process.kill()
            await process.wait()
