"""`earshot up`: everything, with one command. `earshot engine`: the pipeline's own process."""

import asyncio
import contextlib
import errno
import hashlib
import os
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Annotated, Any

import structlog
import typer
import uvicorn

from earshot.api.app import create_app
from earshot.api.deps import Rooms as ApiRooms
from earshot.cli.common import CLOCK, app, out, settings_of
from earshot.engine.collect import Collector
from earshot.engine.home import (
    Rooms,
    engine_lock,
    engine_runs,
    lake_of,
    open_rooms,
    up_lock,
)
from earshot.engine.local import LocalEngine
from earshot.engine.profiles import offer_authors
from earshot.engine.supervise import Supervisor
from earshot.errors import ConfigError, ConflictError, EarshotError
from earshot.live import open_live
from earshot.settings import Settings
from earshot.sources import Source, open_source
from earshot.sources.bluesky import ProfileResolver, reachable

say = structlog.get_logger(__name__)

PROFILES = "bluesky-profiles"
HANDOVER_S = 3.0
"""How long a start waits for an engine that is ending."""
REACH_S = 4.0
"""How long the start waits for an answer of Bluesky before it shows the demo world."""


@app.command("up")
def command(
    context: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="What to collect: bluesky:, demo:, demo:?rate=100 … (may be given several times). "
            "Default: live Bluesky where it can be reached, else the demo world."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000.")] = None,
    collect: Annotated[bool, typer.Option(help="Whether to collect at all.")] = True,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Start everything: collectors, pipeline and web app, at http://localhost:8000.

    Prints a one-time link that signs the first administrator in. Ctrl-C stops in good order;
    nothing that was accepted is lost.
    """
    settings = _with_web(settings_of(context), host, port)
    with up_lock(settings), _listening_at(settings) as listener:
        _refuse_running(settings)
        urls = list(source or []) or ([_choose(settings)] if collect else [])
        sources = [(connection_of(url), _open(settings, url)) for url in dict.fromkeys(urls)]
        code = asyncio.run(_up(settings, sources, listener, open_browser=open_browser))
    raise typer.Exit(code)


@app.command("engine", hidden=True)
def engine(
    context: typer.Context,
    parent: Annotated[
        int | None, typer.Option(help="Process without which it shall not go on.")
    ] = None,
) -> None:
    """Work off the log of the home until SIGTERM; `earshot up` starts and supervises this."""
    settings, stop = settings_of(context), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if parent is not None:
        threading.Thread(target=_stop_with, args=(parent, stop), daemon=True).start()
    with (
        engine_lock(settings, patience_s=HANDOVER_S),
        open_rooms(settings, CLOCK, writable=True) as rooms,
    ):
        LocalEngine(rooms).run(stop)


def _stop_with(parent: int, stop: threading.Event) -> None:
    """Stop when the process that started us is gone: nobody would supervise us."""
    while not stop.wait(0.5):
        if os.getppid() != parent:
            stop.set()


def _refuse_running(settings: Settings) -> None:
    """An engine whose parent just died may still be ending."""
    until = CLOCK.monotonic() + HANDOVER_S
    while engine_runs(settings):
        if CLOCK.monotonic() > until:
            msg = f"an engine runs already in {settings.home}"
            raise ConflictError(msg, hint="stop it first, or use another --home")
        time.sleep(0.1)


@contextlib.contextmanager
def _listening_at(settings: Settings) -> Iterator[socket.socket]:
    """Take the port before anything else is started.

    Raises:
        ConfigError: Something else has it, or the address is none of this machine.
    """
    host, port = settings.web.host, settings.web.port
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as e:
        msg = f"cannot listen on {host}:{port}: {e.strerror or e}"
        taken = e.errno == errno.EADDRINUSE
        hint = "something else uses the port: choose another with --port" if taken else ""
        raise ConfigError(msg, hint=hint or "choose another address with --host and --port") from e
    with listener:
        yield listener


def _with_web(settings: Settings, host: str | None, port: int | None) -> Settings:
    given = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    return settings.model_copy(update={"web": settings.web.model_copy(update=given)})


def _choose(settings: Settings) -> str:
    """Live Bluesky where it can be reached, else the demo world; says which."""
    if reachable(settings.bluesky.hosts, timeout=REACH_S):
        out.print("Collecting live from [bold]Bluesky[/bold] (no key needed).")
        return "bluesky:"
    out.print(
        "Bluesky cannot be reached from here: showing the [bold]demo world[/bold] "
        "(invented people and posts)."
    )
    return "demo:"


async def _up(
    settings: Settings,
    sources: list[tuple[str, Source]],
    listener: socket.socket,
    *,
    open_browser: bool,
) -> int:
    with open_rooms(settings, CLOCK, writable=False) as rooms, lake_of(settings) as lake:
        live = open_live(settings.live, feed=rooms.store)
        api = create_app(
            settings,
            ApiRooms(
                log=rooms.log,
                store=rooms.store,
                control=rooms.control,
                live=live,
                lake=lake,
                clock=CLOCK,
                engine_alive=lambda: engine_runs(settings),
            ),
        )
        server = _Server(
            uvicorn.Config(
                api,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=3,
            )
        )
        command = ["-m", "earshot.cli", "--home", str(settings.home)]
        command += ["engine", "--parent", str(os.getpid())]
        supervising = asyncio.create_task(Supervisor(command, CLOCK).run())
        jobs: list[Coroutine[Any, Any, Any]] = [live.run()]
        jobs += [_run(Collector(source, name, rooms.log, CLOCK)) for name, source in sources]
        if settings.bluesky.profiles and any(s.name == "bluesky" for _, s in sources):
            resolver = ProfileResolver(settings.bluesky.profiles, clock=CLOCK)
            jobs.append(offer_authors(rooms.store, resolver))
            jobs.append(_run(Collector(resolver, PROFILES, rooms.log, CLOCK)))
        async with _together([supervising, *map(asyncio.create_task, jobs)]):
            stopping = _on_signals()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await _listening(server, serving)
            _welcome(settings, rooms, listener, open_browser=open_browser)
            ends = {serving, supervising, asyncio.create_task(stopping.wait())}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            await serving
            return _code(supervising)


def _on_signals() -> asyncio.Event:
    """Set by SIGINT and SIGTERM, which from now on do nothing else."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _code(supervising: "asyncio.Task[int]") -> int:
    """The exit code: 0, unless the engine cannot run."""
    if not supervising.done():
        return 0
    return supervising.result()  # or raise what the supervisor failed with


def connection_of(url: str) -> str:
    """Name under which a source is collected; the same for the same URL, and without secrets."""
    base, _, query = url.partition("?")
    name = base.rstrip(":")
    return f"{name}-{hashlib.sha256(query.encode()).hexdigest()[:6]}" if query else name


def _open(settings: Settings, url: str) -> Source:
    return open_source(url, clock=CLOCK, options=_options(settings, url))


async def _run(collector: Collector) -> None:
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(collector.watch())
        try:
            await collector.run()
        finally:
            watch.cancel()


def _options(settings: Settings, url: str) -> dict[str, object]:
    return {"hosts": settings.bluesky.hosts} if url.startswith("bluesky:") else {}


@contextlib.asynccontextmanager
async def _together(tasks: "list[asyncio.Task[Any]]") -> AsyncIterator[None]:
    """Let tasks run beside the body; one that fails is told of and stops no other."""
    for task in tasks:
        task.add_done_callback(_tell)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        say.error("a part of Earshot stopped", why=str(error), exc_info=error)


class _Server(uvicorn.Server):
    """Leaves signals to us: SIGINT and SIGTERM both end everything in good order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


async def _listening(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    while not server.started and not serving.done():  # noqa: ASYNC110 - the server tells no event
        await asyncio.sleep(0.02)
    if serving.done():
        serving.result()
        msg = "the web app did not start"
        raise EarshotError(msg, hint="the messages above say why")


def _welcome(
    settings: Settings, rooms: Rooms, listener: socket.socket, *, open_browser: bool
) -> None:
    port = listener.getsockname()[1]
    name = "localhost" if settings.web.host in ("127.0.0.1", "::1") else settings.web.host
    url = settings.web.public_url.rstrip("/") or f"http://{name}:{port}"
    code = rooms.control.setup_code()
    who = "the first administrator"
    if code is None:
        who = next(p.name for p in rooms.control.people() if p.role == "admin")
        code = rooms.control.sign_in_code(who, actor="earshot up")
    url = f"{url}/setup?code={code}"
    out.print(f"\nSign in {who} with this one-time link:\n", highlight=False, markup=False)
    out.print(f"  {url}\n", soft_wrap=True, highlight=False)
    out.print(f"Everything is kept in {settings.home}. Stop with Ctrl-C.", highlight=False)
    if open_browser:
        webbrowser.open(url)
