"""A whole API over real rooms in a temporary folder; time is told, not measured."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec
import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from earshot.api.app import create_app
from earshot.api.deps import Rooms
from earshot.control import _people, open_control
from earshot.live import open_live
from earshot.log import open_log
from earshot.settings import Settings
from earshot.store import open_store
from earshot.testing.control import PASSWORD, SetClock
from earshot.testing.store import batch

BROWSER = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class World:
    """The rooms, the app, and what tests do to them."""

    settings: Settings
    rooms: Rooms
    writer: object
    clock: SetClock
    dist: object
    offset: int = 0
    clients: list = field(default_factory=list)
    _app: object = None

    @property
    def app(self):
        if self._app is None:
            self._app = create_app(self.settings, self.rooms, dist=self.dist)
        return self._app

    def put(self, *rows, hits=(), gaps=None, **frames):
        """Commit posts, as the engine would."""
        self.offset += 1
        self.writer.commit(
            batch(*rows, hits=hits, **frames), offset=self.offset, at=self.clock.now(), gaps=gaps
        )

    def engine_says(self, **more):
        now = self.clock.now().isoformat()
        said = {"updated_at": now, "started_at": now, "records": 10, "batches": 1, **more}
        self.writer.note("engine", msgspec.json.encode(said).decode())

    def client(self, role=None, **headers):
        """A browser, signed in when a role is given."""
        client = TestClient(
            self.app, base_url="http://localhost:8000", headers={**BROWSER, **headers},
            raise_server_exceptions=False, client=("127.0.0.1", 50000),
        )  # fmt: skip
        self.clients.append(client)
        if role:
            person = self.person(role)
            secret = self.rooms.control.new_session(person.id, agent="test")
            client.cookies.set("earshot", secret, domain="localhost.local", path="/")
        return client

    def person(self, role):
        known = {p.name: p for p in self.rooms.control.people()}
        if role in known:
            return known[role]
        return self.rooms.control.add_person(role, role=role, password=PASSWORD, actor="test")

    def token(self, role, *scopes, expires=None):
        return self.rooms.control.new_token(
            self.person(role).id, name="t", scopes=scopes, expires=expires
        )


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch):
    """Real argon2id, with less memory: hundreds of sign-ins have to fit into seconds."""
    monkeypatch.setattr(
        _people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    )
    _people._nobody.cache_clear()
    yield
    _people._nobody.cache_clear()


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory):
    """A home whose files are made, to be copied: making them anew takes longest of all."""
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        stack.enter_context(open_store(f"sqlite:///{home}/store.db", writable=True))
        stack.enter_context(open_log(f"sqlite:///{home}/log.db"))
        stack.enter_context(open_control(f"sqlite:///{home}/control.db", clock=SetClock()))
    return home


@pytest.fixture
def world(tmp_path, empty_home):
    clock, settings = SetClock(), Settings(home=tmp_path)
    shutil.copytree(empty_home, tmp_path, dirs_exist_ok=True)
    with ExitStack() as stack:
        store = f"sqlite:///{tmp_path}/store.db"
        writer = stack.enter_context(open_store(store, writable=True))
        reader = stack.enter_context(open_store(store))
        log = stack.enter_context(open_log(f"sqlite:///{tmp_path}/log.db"))
        control = stack.enter_context(open_control(f"sqlite:///{tmp_path}/control.db", clock=clock))
        live = open_live("memory:", feed=reader)
        rooms = Rooms(log, reader, control, live, None, clock)
        made = World(settings, rooms, writer, clock, tmp_path / "dist")
        yield made
        for client in made.clients:
            client.close()


@pytest.fixture
def admin(world):
    return world.client("admin")
