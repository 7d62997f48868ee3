"""Keeps the pipeline's own process running: restarts with back-off, ends it in good order."""

import asyncio
import signal
import sys
from collections.abc import Sequence

import structlog

from earshot.clock import Clock

say = structlog.get_logger(__name__)

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 30.0
"""A process that lived this long starts its back-off anew."""
GRACE_S = 20.0
"""How long a process may take to finish its batch after SIGTERM."""
WRONG_USE = 2
"""Exit code that no restart can mend (bad configuration, another engine holds the home)."""


class Supervisor:
    """Runs `command` and starts it again whenever it dies."""

    def __init__(self, command: Sequence[str], clock: Clock) -> None:
        self._command, self._clock = list(command), clock
        self.restarts = 0

    async def run(self) -> int:
        """Until cancelled (then the process is asked to stop), or until it says wrong use.

        Returns:
            The exit code that ended it.
        """
        tries = 0
        while True:
            began = self._clock.monotonic()
            process = await asyncio.create_subprocess_exec(sys.executable, *self._command)
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await self._stop(process)
                raise
            if code in (0, WRONG_USE):
                return code
            self.restarts += 1
            tries = 0 if self._clock.monotonic() - began > STEADY_S else tries + 1
            wait = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
            say.error("engine died", exit_code=code, restarts=self.restarts, wait_s=wait)
            await asyncio.sleep(wait)

    @staticmethod
    async def _stop(process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), GRACE_S)
        except TimeoutError:
            say.error("engine did not stop in time and is killed", grace_s=GRACE_S)
            process.kill()
            await process.wait()
