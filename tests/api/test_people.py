import pytest

from earshot.settings import Settings, Web
from earshot.testing.control import PASSWORD


def cookie_of(answer):
    return answer.headers["set-cookie"]


def test_name_and_password_open_a_session_in_a_cookie_scripts_cannot_read(world):
    world.person("editor")
    client = world.client()
    answer = client.post("/api/v1/sessions", json={"name": "Editor", "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.json()["person"]["name"] == "editor"
    parts = {p.strip().lower() for p in cookie_of(answer).split(";")}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert not any(p.startswith("domain") or p == "secure" for p in parts)
    assert client.get("/api/v1/me").json()["via"] == "session"


def test_behind_https_the_cookie_is_bound_to_host_and_secure(world):
    world.settings = Settings(
        home=world.settings.home, web=Web(public_url="https://ear.example.org")
    )
    world.person("editor")
    client = world.client(Host="ear.example.org")
    answer = client.post("/api/v1/sessions", json={"name": "editor", "password": PASSWORD})
    assert cookie_of(answer).startswith("__Host-earshot=")
    assert "secure" in cookie_of(answer).lower()
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_wrong_password_and_an_unknown_name_look_the_same(world):
    world.person("editor")
    client = world.client()
    bodies = [
        client.post("/api/v1/sessions", json={"name": name, "password": "wrong"}).json()
        for name in ("editor", "nobody")
    ]
    assert [b["code"] for b in bodies] == ["bad-credentials"] * 2
    assert bodies[0]["detail"] == bodies[1]["detail"]


def test_guessing_an_accounts_password_is_slowed_down(world):
    world.person("editor")
    client = world.client()

    def try_it(password):
        return client.post("/api/v1/sessions", json={"name": "EDITOR", "password": password})

    answers = [try_it("wrong") for _ in range(9)]
    assert [a.status_code for a in answers] == [401] * 8 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 30
    assert answers[-1].json()["retry_after"] > 0
    assert try_it(PASSWORD).status_code == 429
    world.clock.pass_(30)
    assert try_it(PASSWORD).status_code == 201


def test_guessing_many_accounts_from_one_network_is_slowed_down(world):
    client = world.client()
    codes = [
        client.post("/api/v1/sessions", json={"name": f"n{i}", "password": "wrong"}).status_code
        for i in range(21)
    ]
    assert codes == [401] * 20 + [429]


def test_signing_in_again_ends_the_session_before(world):
    client = world.client("editor")
    old = client.cookies["earshot"]
    client.post("/api/v1/sessions", json={"name": "editor", "password": PASSWORD})
    assert world.rooms.control.session(old) is None


def test_signing_out_ends_the_session_here_only(world):
    here, there = world.client("editor"), world.client("editor")
    assert here.delete("/api/v1/sessions/current").status_code == 204
    assert here.get("/api/v1/me").status_code == 401
    assert there.get("/api/v1/me").status_code == 200


def test_i_can_end_my_sessions_and_nobody_elses(world):
    editor, viewer = world.client("editor"), world.client("viewer")
    (theirs,) = viewer.get("/api/v1/sessions").json()["items"]
    assert editor.delete(f"/api/v1/sessions/{theirs['id']}").status_code == 404
    (own,) = editor.get("/api/v1/sessions").json()["items"]
    assert (own["current"], theirs["current"]) == (True, True)
    assert editor.delete(f"/api/v1/sessions/{own['id']}").status_code == 204
    assert editor.get("/api/v1/me").status_code == 401
    assert viewer.get("/api/v1/me").status_code == 200


def test_the_setup_code_signs_the_first_administrator_in_once(world):
    code, client = world.rooms.control.setup_code(), world.client()
    body = {"code": code, "name": "Ada", "password": PASSWORD}
    answer = client.post("/api/v1/setup", json=body)
    assert (answer.status_code, answer.json()["person"]["role"]) == (201, "admin")
    assert client.get("/api/v1/me").status_code == 200
    again = world.client().post("/api/v1/setup", json=body)
    assert (again.status_code, again.json()["code"]) == (403, "setup-refused")


def test_a_token_is_shown_once_and_carries_at_most_my_rights(world):
    client = world.client("editor")
    body = {"name": "nb", "scopes": ["posts:read"], "expires": "2026-03-02T00:00:00Z"}
    made = client.post("/api/v1/tokens", json=body).json()
    assert made["text"].startswith(f"esh_{made['id']}_")
    (listed,) = client.get("/api/v1/tokens").json()["items"]
    assert made["text"].split("_", 2)[2] not in str(listed)
    beyond = client.post("/api/v1/tokens", json={"name": "x", "scopes": ["posts:delete"]})
    assert beyond.status_code == 403
    unknown = client.post("/api/v1/tokens", json={"name": "x", "scopes": ["all"]})
    assert unknown.status_code == 403
    past = {**body, "expires": "2026-01-01T00:00:00Z"}
    assert client.post("/api/v1/tokens", json=past).status_code == 422

    program = world.client(Authorization=f"Bearer {made['text']}")
    assert program.get("/api/v1/posts").status_code == 200
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert program.get("/api/v1/posts").status_code == 401


def test_a_bad_token_is_not_made_good_by_a_cookie(world):
    client = world.client("admin", Authorization="Bearer esh_1_nonsense")
    assert client.get("/api/v1/me").status_code == 401


def test_somebody_elses_token_is_not_there_for_me(world):
    world.token("admin", "posts:read")
    assert world.client("editor").delete("/api/v1/tokens/1").status_code == 404


def test_the_audit_pages_through_every_line_once(world):
    client = world.client("admin")
    for n in range(7):
        world.rooms.control.audit("ada", "test", f"thing:{n}")
    seen, url = [], "/api/v1/audit?limit=3&action=test"
    while url:
        page = client.get(url).json()
        seen += [line["thing"] for line in page["items"]]
        url = page["next_url"]
    assert seen == [f"thing:{n}" for n in reversed(range(7))]


class TestPlainPages:
    """They need no script, so that a broken bundle locks nobody out."""

    def test_signing_in_leads_to_where_one_wanted_to_go(self, world):
        world.person("editor")
        client = world.client()
        assert (
            'action="/sign-in?next=%2Fposts%3Fq%3Da%2520b"'
            in client.get("/sign-in", params={"next": "/posts?q=a%20b"}).text
        )
        answer = client.post(
            "/sign-in?next=%2Fposts%3Fq%3Da%2520b",
            data={"name": "editor", "password": PASSWORD},
            follow_redirects=False,
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/posts?q=a%20b")
        assert client.get("/api/v1/me").status_code == 200

    @pytest.mark.parametrize(
        "target",
        [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "/a\r\nb",
            "javascript:x",
        ],
    )
    def test_nobody_is_led_away_from_here(self, world, target):
        world.person("editor")
        answer = world.client().post(
            "/sign-in", params={"next": target}, follow_redirects=False,
            data={"name": "editor", "password": PASSWORD},
        )  # fmt: skip
        assert answer.headers["location"] == "/"

    def test_a_wrong_password_says_so_and_keeps_the_name(self, world):
        answer = world.client().post("/sign-in", data={"name": '"><b>', "password": "x"})
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "&quot;&gt;&lt;b&gt;" in answer.text
        assert "<b>" not in answer.text

    def test_the_printed_link_shows_a_form_and_the_form_lets_in(self, world):
        code, client = world.rooms.control.setup_code(), world.client()
        for _ in range(2):  # a link preview or a reload does not use it up
            assert code in client.get("/setup", params={"code": code}).text
        short = client.post("/setup", data={"code": code, "name": "Ada", "password": "short"})
        assert short.status_code == 422
        answer = client.post(
            "/setup", data={"code": code, "name": "Ada", "password": ""}, follow_redirects=False
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert client.get("/api/v1/me").json()["person"]["role"] == "admin"
        assert client.get("/setup", params={"code": code}).status_code == 403

    def test_a_person_without_a_password_comes_in_by_a_new_link(self, world):
        world.rooms.control.add_person("Bo", role="viewer", password=None, actor="ada")
        code, client = world.rooms.control.sign_in_code("Bo", actor="ada"), world.client()
        assert "<strong>Bo</strong>" in client.get("/setup", params={"code": code}).text
        client.post("/setup", data={"code": code, "password": PASSWORD}, follow_redirects=False)
        assert client.get("/api/v1/me").json()["person"]["name"] == "Bo"
        assert world.rooms.control.sign_in("Bo", PASSWORD)

    @pytest.mark.parametrize("path", ["/sign-in", "/setup", "/problems/forbidden"])
    def test_they_hold_neither_script_nor_inline_style(self, world, path):
        text = world.client().get(path).text
        assert not any(s in text for s in ("<script", "style=", "<style", "onload"))
        assert world.client().get("/plain.css").headers["content-type"].startswith("text/css")
