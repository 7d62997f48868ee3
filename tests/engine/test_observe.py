import json
import logging

import pytest
import structlog

from earshot.engine.observe import configure, without_secrets


@pytest.fixture
def _as_in_a_process_of_its_own(monkeypatch):
    yield
    structlog.reset_defaults()


def in_json(monkeypatch):
    """Pytest hangs handlers of its own on the root; a command finds none."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure("json")


pytestmark = pytest.mark.usefixtures("_as_in_a_process_of_its_own")


def said(capsys):
    out, err = capsys.readouterr()
    assert out == "", "standard output is for answers"
    return [json.loads(line) for line in err.splitlines()]


def test_messages_are_one_line_of_json_on_standard_error(capsys, monkeypatch):
    in_json(monkeypatch)
    structlog.get_logger("a").info("it\nhappened", n=3)
    (line,) = said(capsys)
    assert (line["event"], line["n"], line["level"]) == ("it\nhappened", 3, "info")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("see http://h/setup?code=abcdef123 now", "abcdef123"),
        ("token esh_12_s3cretS3cret used", "s3cretS3cret"),
        ("postgresql://ada:hunter22@host/db", "hunter22"),
        ("Authorization: Bearer abc.def.ghi-123", "abc.def.ghi-123"),
        ("https://h/x?a=1&access_token=zzzz9&b=2", "zzzz9"),
    ],
)
def test_no_message_shows_a_secret(capsys, monkeypatch, text, secret):
    in_json(monkeypatch)
    log = structlog.get_logger("a")
    log.info(text)
    log.info("x", nested={"deep": [text]}, error=ValueError(text))
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
    logging.getLogger("library").warning("it said %s", text)
    err = capsys.readouterr().err
    assert len(err.splitlines()) >= 4
    assert secret not in err


def test_a_field_whose_name_says_secret_is_hidden_whatever_it_holds(capsys, monkeypatch):
    in_json(monkeypatch)
    structlog.get_logger("a").info("x", password="pw-1", headers={"Cookie": "c-1"}, api_key=[1])
    (line,) = said(capsys)
    assert (line["password"], line["headers"], line["api_key"]) == ("…", {"Cookie": "…"}, "…")


def test_what_is_no_secret_stays():
    text = "postgresql://host:5432/db?application=a https://ada.test/x?page=2 basically fine"
    assert without_secrets(text) == text
    assert without_secrets("postgresql://ada:pw@h/db") == "postgresql://ada:…@h/db"
