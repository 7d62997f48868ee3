"""`earshot up`: everything, with one command. `earshot engine`: the pipeline's own process."""

import asyncio
import contextlib
import os
import signal
import threading
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
from earshot.engine.home import Rooms, engine_lock, engine_runs, lake_of, open_rooms
from earshot.engine.local import LocalEngine
from earshot.engine.profiles import offer_authors
from earshot.engine.supervise import WRONG_USE, Supervisor
from earshot.errors import ConfigError, ConflictError
from earshot.live import open_live
from earshot.settings import Settings
from earshot.sources import open_source
from earshot.sources.bluesky import ProfileResolver, reachable

say = structlog.get_logger(__name__)

PROFILES = "bluesky-profiles"
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
    if engine_runs(settings):
        msg = f"Earshot runs already in {settings.home}"
        raise ConflictError(msg, hint="stop it first, or use another --home")
    sources = list(source or []) or ([_choose(settings)] if collect else [])
    code = asyncio.run(_up(settings, sources, open_browser=open_browser))
    raise typer.Exit(code)


@app.command("engine", hidden=True)
def engine(context: typer.Context) -> None:
    """Work off the log of the home until SIGTERM; `earshot up` starts and supervises this."""
    settings, stop = settings_of(context), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_stop_with, args=(os.getppid(), stop), daemon=True).start()
    with engine_lock(settings), open_rooms(settings, CLOCK, writable=True) as rooms:
        LocalEngine(rooms).run(stop)


def _stop_with(parent: int, stop: threading.Event) -> None:
    """Stop when the process that started us is gone: nobody would supervise us."""
    while not stop.wait(0.5):
        if os.getppid() != parent:
            stop.set()


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


async def _up(settings: Settings, sources: list[str], *, open_browser: bool) -> int:
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
                host=settings.web.host,
                port=settings.web.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=3,
            )
        )
        supervisor = Supervisor(
            ["-m", "earshot.cli", "--home", str(settings.home), "engine"], CLOCK
        )
        jobs: list[Coroutine[Any, Any, Any]] = [live.run(), supervisor.run()]
        jobs += [_collect(rooms, url) for url in sources]
        if settings.bluesky.profiles and any(url.startswith("bluesky:") for url in sources):
            resolver = ProfileResolver(settings.bluesky.profiles, clock=CLOCK)
            jobs.append(offer_authors(rooms.store, resolver))
            jobs.append(_run(Collector(resolver, PROFILES, rooms.log, CLOCK)))
        async with _together(jobs) as failed:
            serving = asyncio.create_task(server.serve())
            await _listening(server, serving)
            _welcome(settings, rooms, server, open_browser=open_browser)
            await asyncio.wait({serving, failed}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            await serving
            return WRONG_USE if failed.done() else 0


async def _collect(rooms: Rooms, url: str) -> None:
    source = open_source(url, clock=CLOCK, options=_options(rooms.settings, url))
    await _run(Collector(source, url.partition("?")[0].rstrip(":"), rooms.log, CLOCK))


async def _run(collector: Collector) -> None:
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(collector.watch())
        await collector.run()
        watch.cancel()


def _options(settings: Settings, url: str) -> dict[str, object]:
    return {"hosts": settings.bluesky.hosts} if url.startswith("bluesky:") else {}


@contextlib.asynccontextmanager
async def _together(
    jobs: list[Coroutine[Any, Any, Any]],
) -> AsyncIterator[asyncio.Future[Any]]:
    """Run jobs beside the body; the future yields when the engine's supervisor gave up."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_tell)
    try:
        yield tasks[1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        say.error("a part of Earshot stopped", why=str(error), exc_info=error)


class _Server(uvicorn.Server):
    """SIGINT and SIGTERM both end `serve` in good order, and nothing else."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See `uvicorn.Server`, which would raise the signal once more at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _listening(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    while not server.started:
        if serving.done():
            serving.result()
            address = f"{server.config.host}:{server.config.port}"
            msg = f"cannot listen on {address}"
            raise ConfigError(msg, hint="something else uses the port: choose another with --port")
        await asyncio.sleep(0.02)


def _welcome(
    settings: Settings, rooms: Rooms, server: uvicorn.Server, *, open_browser: bool
) -> None:
    port = server.servers[0].sockets[0].getsockname()[1]
    name = "localhost" if settings.web.host in ("127.0.0.1", "::1") else settings.web.host
    url = settings.web.public_url.rstrip("/") or f"http://{name}:{port}"
    code = rooms.control.setup_code()
    if code is not None:
        url = f"{url}/setup?code={code}"
        out.print("\nSign in the first administrator with this one-time link:\n")
    else:
        out.print("\nEarshot listens:\n")
    out.print(f"  {url}\n", soft_wrap=True, highlight=False)
    out.print(f"Everything is kept in {settings.home}. Stop with Ctrl-C.", highlight=False)
    if open_browser:
        webbrowser.open(url)
