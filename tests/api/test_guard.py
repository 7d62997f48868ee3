import pytest

from earshot.settings import Settings, Web


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"]
)
def test_our_own_names_are_answered(world, host):
    assert world.client(Host=host).get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "", "10.0.0.1", "a b", "["],
)
def test_a_name_that_was_bound_to_us_by_others_is_not(world, host):
    answer = world.client("admin", Host=host).get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown-host")


def test_the_public_name_is_ours_too(world):
    world.settings = Settings(
        home=world.settings.home, web=Web(public_url="https://ear.example.org/x", host="0.0.0.0")
    )
    assert world.client(Host="ear.example.org").get("/healthz").status_code == 200
    assert world.client(Host="0.0.0.0").get("/healthz").status_code == 421


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8000"}, False),
        ({"Sec-Fetch-Site": "", "Origin": "http://localhost:8000"}, False),
        ({"Origin": "http://localhost:8000"}, True),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_only_our_own_pages_write_with_a_cookie(world, headers, good):
    client = world.client("admin")
    del client.headers["Sec-Fetch-Site"]
    answer = client.post("/api/v1/rules", json={"name": "a", "text": "b"}, headers=headers)
    assert (answer.status_code == 201) == good, answer.text
    assert good or answer.json()["code"] == "cross-origin"
    assert len(world.rooms.control.rules()) == good


def test_reading_needs_no_origin_and_a_token_none_at_all(world):
    client = world.client("admin")
    assert client.get("/api/v1/me", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    token = world.token("admin", "rules:write")
    program = world.client(Authorization=f"Bearer {token}")
    del program.headers["Sec-Fetch-Site"]
    assert program.post("/api/v1/rules", json={"name": "a", "text": "b"}).status_code == 201


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/me", "/sign-in", "/healthz", "/nope", "/api/v1/posts"]
)
def test_every_answer_carries_the_protecting_headers(world, path):
    headers = world.client().get(path).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert headers["x-request-id"]
    assert headers["earshot-version"]


def test_each_request_has_an_id_of_its_own(world):
    client = world.client()
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5
