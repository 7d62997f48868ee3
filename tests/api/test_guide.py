"""Every `curl` of docs/guide/api.md, run as it stands there against real rooms."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
from httpx2 import QueryParams
from tests.api.test_collection import bad_record

from earshot.api.rights import ACTIONS
from earshot.api.stream import read_topics
from earshot.model.schema import QUARANTINE
from earshot.testing.builders import rows_of, stored
from earshot.testing.control import NOON, PASSWORD

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "api.md"
LINES = re.findall(r"^curl .+$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
BASE = "http://localhost:8000"
WITH_VALUE = {"-H", "-X", "-d", "--data-urlencode", "--json", "-b", "-c", "-o"}


def asked(line, token):
    """What a line asks for: method, address, parameters, headers, body, cookies wanted."""
    line = line.replace("$EARSHOT", BASE).replace("$TOKEN", token)
    words, said, alone = shlex.split(line, comments=True)[1:], [], []
    while words:
        word = words.pop(0)
        if word in WITH_VALUE:
            said.append((word, words.pop(0)))
        else:
            alone.append(word)
    (url,) = (w for w in alone if w.startswith(BASE))
    assert {w for w in alone if w != url} <= {"-G", "-N", "-i"}
    assert "-G" in alone or not any(flag == "-d" for flag, _ in said)
    values = dict(said)
    pairs = [tuple(v.split("=", 1)) for f, v in said if f in {"-d", "--data-urlencode"}]
    headers = dict(v.split(": ", 1) for f, v in said if f == "-H")
    body = values.get("--json")
    method = values.get("-X", "POST" if body else "GET")
    return method, url, pairs, headers, body, "-b" in values


@pytest.fixture
def full(world, monkeypatch):
    """What the guide speaks of: post x/1234, rule 1, record 5120 in quarantine, and ada."""
    monkeypatch.setattr("earshot.api.operate.WAIT_S", 0.0)
    control = world.rooms.control
    control.add_person("ada", role="admin", password=PASSWORD, actor="test")
    control.add_rule("music", "music", active_from=NOON, actor="ada")
    world.put(
        stored("1234", source="x", event_time=NOON),
        hits=[("x", "1234", 1, 1)],
        quarantine=rows_of(QUARANTINE, bad_record(5120)),
    )
    world.engine_says()
    return world


(SETUP,) = (line for line in LINES if "/setup" in line)
OTHERS = [line for line in LINES if line != SETUP]


@pytest.mark.parametrize("line", OTHERS, ids=[ln.partition("$EARSHOT")[2][:60] for ln in OTHERS])
def test_an_example_of_the_guide_works(line, full):
    client = full.client()
    token = full.token("admin", *ACTIONS)
    method, url, pairs, headers, body, cookie = asked(line, token)
    given = msgspec.json.decode(body) if body else None
    if url.endswith("/stream"):  # endless; `test_stream.py` follows it
        assert read_topics(dict(pairs)["topics"])
        return
    if url.endswith("/sessions") and given:
        given["password"] = PASSWORD
    if cookie:
        client = full.client("admin")
        del client.headers["Sec-Fetch-Site"]

    answer = client.request(method, url, params=QueryParams(pairs), headers=headers, json=given)

    assert answer.status_code < 300, answer.text


def test_the_first_administrator_can_sign_in_as_the_guide_says(world):
    method, url, _, _, body, _ = asked(SETUP, "")
    given = msgspec.json.decode(body) | {"code": world.rooms.control.setup_code()}

    answer = world.client().request(method, url, json=given)

    assert answer.json()["person"] == {"id": 1, "name": "ada", "role": "admin"}


def test_the_guide_shows_every_noun_of_the_api(full):
    shown = "\n".join(LINES)
    paths = full.client().get("/api/v1/openapi.json").json()["paths"]
    nouns = {p.removeprefix("/api/v1").split("/")[1] for p in paths}

    assert {n for n in nouns if f"/{n}" not in shown} == set()
