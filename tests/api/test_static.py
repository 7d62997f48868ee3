import pytest

INDEX = '<!doctype html><html lang="en" data-theme="system"><title>Earshot</title>'


@pytest.fixture
def built(world):
    (world.dist / "assets").mkdir(parents=True)
    (world.dist / "index.html").write_text(INDEX)
    (world.dist / "favicon.svg").write_text("<svg/>")
    (world.dist / "assets" / "index-B4x9Qz1c.js").write_text("1")
    (world.dist / "assets" / "plain.js").write_text("1")
    (world.dist.parent / "secret.txt").write_text("secret")
    return world.client()


@pytest.mark.parametrize("path", ["/", "/posts", "/rules/12", "/index.html"])
def test_every_page_of_the_app_is_the_index_and_never_kept(built, path):
    answer = built.get(path)
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_assets_with_a_hash_are_kept_for_ever(built):
    assert "immutable" in built.get("/assets/index-B4x9Qz1c.js").headers["cache-control"]
    assert "immutable" not in built.get("/assets/plain.js").headers["cache-control"]
    assert "immutable" not in built.get("/favicon.svg").headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/assets/gone-12345678.js", "/api/v1/nope", "/api", "/problems/nope", "/x.png"]
)
def test_what_is_no_page_and_not_there_is_not_found(built, path):
    answer = built.get(path, headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    "path", ["/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"]
)
def test_nothing_outside_the_build_is_served(built, path):
    assert "secret" not in built.get(path).text


def test_a_path_that_cannot_be_is_no_error(built):
    assert built.get("/%00").status_code in {200, 404}
    assert built.get("/" + "x" * 5000).status_code in {200, 404}


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ('"><b>', "system")]
)
def test_the_theme_is_set_before_the_page_is_sent(built, cookie, theme):
    text = built.get("/", headers={"Cookie": f"theme={cookie}"}).text
    assert text == INDEX.replace("system", theme)


def test_without_a_build_a_plain_page_says_what_to_do(world):
    answer = world.client().get("/")
    assert answer.status_code == 503
    assert "make" in answer.text
    assert "<script" not in answer.text
