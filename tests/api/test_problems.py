import re

import pytest
from pydantic import ValidationError
from tests.api import route_table as table

from earshot.api.problems import KINDS
from earshot.api.schemas.common import Problem


def problem_of(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = Problem.model_validate(answer.json())
    assert problem.status == answer.status_code == KINDS[problem.code].status
    assert problem.type == f"/problems/{problem.code}"
    assert problem.instance == answer.headers["X-Request-Id"]
    assert KINDS[problem.code].remedy in problem.detail
    return problem


@pytest.mark.parametrize(("method", "path", "right"), table.calls())
def test_every_route_answers_strangers_and_nonsense_with_a_problem(
    world, admin, method, path, right
):
    if right is not None:
        assert problem_of(world.client().request(method, path)).code == "unauthenticated"
    nonsense = [
        admin.request(method, path, content=b"{", headers={"Content-Type": "application/json"}),
        admin.request(method, path, content=b"\xff" * 9, headers={"Content-Type": "text/x"}),
        admin.request(method, path, json=[{}], params={"limit": "x", "cursor": "\0", "since": "?"}),
        admin.request(method, path.replace("/1", "/x"), params={"limit": 10**30, "rule": -5}),
        admin.request("PUT", path, json={}),
    ]
    for answer in nonsense:
        if answer.status_code >= 400 and path != "/readyz":
            assert problem_of(answer).status < 500


@pytest.mark.parametrize("code", KINDS)
def test_every_kind_has_a_page_that_says_what_to_do(world, code):
    answer = world.client().get(f"/problems/{code}")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert f"<h1>{KINDS[code].title}</h1>" in answer.text


def test_an_unknown_kind_has_none(world):
    assert problem_of(world.client().get("/problems/x")).code == "not-found"


def test_an_unexpected_error_shows_nothing_of_itself(world, admin, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("secret /home/ada/data SELECT *")

    monkeypatch.setattr(type(world.rooms.store), "counts", broken)
    answer = admin.get("/api/v1/counts")
    problem = problem_of(answer)
    assert problem.code == "internal"
    assert not re.search("secret|ada|SELECT|Runtime|Trace", answer.text)
    said = "".join(capsys.readouterr())
    assert problem.instance in said
    assert "secret" in said


def test_all_errors_of_an_input_are_told_at_once(admin):
    answer = admin.post("/api/v1/rules", json={"name": "", "txt": 5})
    problem = problem_of(answer)
    assert [e.pointer for e in problem.errors] == ["/body/name", "/body/text", "/body/txt"]


def test_a_page_that_is_too_long_names_the_ceiling_and_the_export(admin):
    problem = problem_of(admin.get("/api/v1/posts", params={"limit": 201}))
    assert problem.code == "limit-too-large"
    assert "200" in problem.title
    assert "/api/v1/export" in problem.detail


def test_a_body_that_is_too_large_is_refused(admin):
    answer = admin.post("/api/v1/rules", json={"name": "a", "text": "x" * 1_000_001})
    assert problem_of(answer).code == "too-large"
    stream = (b"x" * 100_000 for _ in range(11))
    headers = {"Content-Type": "application/json"}
    answer = admin.post("/api/v1/rules", content=stream, headers=headers)
    assert problem_of(answer).code == "too-large"


def test_a_problem_says_no_more_than_its_shape():
    with pytest.raises(ValidationError):
        Problem.model_validate({"type": "x", "trace": "y"})
