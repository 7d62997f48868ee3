import logging
import signal

import msgspec
import pytest
import structlog

from earshot.cli import main


class Ended:
    """How a command ended, and what it said."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        """The one object that is the last, and only, line of standard output."""
        (line,) = self.out.splitlines()
        value = msgspec.json.decode(line)
        assert isinstance(value, dict)
        return value


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def earshot(home, capsys, monkeypatch):
    """Runs the command line in this process, on a home of its own."""
    monkeypatch.setenv("EARSHOT_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    root = list(logging.getLogger().handlers)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["earshot", *map(str, arguments)])
        capsys.readouterr()
        structlog.reset_defaults()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger().handlers[:] = root
    structlog.reset_defaults()
