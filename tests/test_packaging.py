"""What is shipped: dependencies as declared, a wheel that runs without Node, nothing private."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools import build_web

import earshot

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "earshot"
UV = Path(sys.executable).with_name("uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))

COME_ALONG = {"starlette": "FastAPI is made of it and says which version fits"}
"""Imported without being declared, and why."""
BESIDE = {"pytest": "only `earshot.testing` imports it, which runs under pytest"}
"""Imported by what a plug-in's tests use, not by the program."""
NOT_IMPORTED: dict[str, str] = {}
"""Declared without being imported, and why."""
NETWORK = re.compile("error sending request|dns error|connect|timed out|offline", re.IGNORECASE)


def declared(*, extras=False):
    more = PROJECT["project"]["optional-dependencies"].values() if extras else ()
    lines = [*PROJECT["project"]["dependencies"], *(r for rows in more for r in rows)]
    return {canonicalize_name(Requirement(r).name) for r in lines}


def imported():
    """Third-party distributions that the package imports, and where."""
    names = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            tops = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            tops += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {t.partition(".")[0] for t in tops} - sys.stdlib_module_names - {"earshot"}:
                for dist in names.get(top, [top]):
                    found.setdefault(canonicalize_name(dist), set()).add(str(path))
    return found


# -- dependencies -----------------------------------------------------------------------------


def test_every_import_is_a_declared_dependency():
    found = imported()
    lacking = found.keys() - declared(extras=True) - COME_ALONG.keys() - BESIDE.keys()

    assert not lacking, {name: found[name] for name in lacking}
    for name in BESIDE:
        assert {Path(p).parent.name for p in found[name]} == {"testing"}


def test_every_declared_dependency_is_imported():
    assert declared() - imported().keys() == NOT_IMPORTED.keys()


def test_the_lock_file_is_of_these_dependencies():
    (ours,) = (p for p in LOCK["package"] if p["name"] == "earshot")
    given = PROJECT["project"] | {"dev": PROJECT["dependency-groups"]["dev"]}

    def wanted(lines):
        return {(canonicalize_name(r.name), str(r.specifier)) for r in map(Requirement, lines)}

    def locked(rows):
        return {(r["name"], r.get("specifier", "")) for r in rows}

    required = ours["metadata"]["requires-dist"]
    needed = [r for r in required if "extra ==" not in r.get("marker", "")]
    assert locked(needed) == wanted(given["dependencies"])
    assert locked(ours["metadata"]["requires-dev"]["dev"]) == wanted(given["dev"])
    assert given["requires-python"] == LOCK["requires-python"]


def test_everything_comes_from_the_public_registry():
    sources = {tuple(p["source"].items()) for p in LOCK["package"]}

    assert sources == {(("registry", "https://pypi.org/simple"),), (("editable", "."),)}


# -- the wheel --------------------------------------------------------------------------------


def run(*command, cwd, **more):
    """Run a tool; skips where it is the network that fails."""
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False, **more
    )
    if done.returncode and NETWORK.search(done.stderr):
        pytest.skip(f"the package registry cannot be reached: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The files that git keeps and the built web app, away from the working tree."""
    if not UV.is_file():
        pytest.skip("no uv in this environment (make install)")
    if not build_web.built(ROOT):
        pytest.skip("the web app is not built from these sources (make web)")
    to = tmp_path_factory.mktemp("tree")
    listed = run("git", "ls-files", "-co", "--exclude-standard", "-z", cwd=ROOT)
    built = [str(p.relative_to(ROOT)) for p in build_web.DIST.rglob("*") if p.is_file()]
    for name in [*filter(None, listed.split("\0")), *built]:
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    return to


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--out-dir", out, cwd=tree)
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_has_the_web_app_and_all_data(wheel, tree):
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        index = packed.read("earshot/api/dist/index.html").decode()

    assets = re.findall(r'"/(assets/[^"]+-[\w-]{8,}\.(?:js|css))"', index)
    assert {Path(a).suffix for a in assets} == {".js", ".css"}
    assert {f"earshot/api/dist/{a}" for a in assets} <= names
    assert {"earshot/py.typed", "earshot/model/unicode_tables.bin"} <= names
    files = (p for p in (tree / "src").rglob("*") if p.is_file())
    assert {p.relative_to(tree / "src").as_posix() for p in files} <= names
    assert not [n for n in names if re.search(r"__pycache__|\.nb[ci]$|tests/|node_modules", n)]


def test_an_sdist_has_the_web_app_and_builds_without_its_sources(tree, wheel, tmp_path):
    run(UV, "build", "--sdist", "--out-dir", tmp_path, cwd=tree)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    (inside,) = (p for p in tmp_path.iterdir() if p.is_dir())
    shutil.rmtree(inside / "web")  # what is not there needs no Node to be built
    run(UV, "build", "--wheel", "--out-dir", tmp_path / "again", cwd=inside)

    (again,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


@pytest.fixture(scope="module")
def installed(tree, wheel, tmp_path_factory):
    """The `bin` of an environment with the wheel and what it needs at run time, nothing else."""
    room = tmp_path_factory.mktemp("clean")
    wanted, venv = room / "requirements.txt", room / "venv"
    only = ("--frozen", "--no-dev", "--no-emit-project", "--no-header", "--quiet")
    run(UV, "export", *only, "--output-file", wanted, cwd=tree)
    run(UV, "venv", "--python", sys.executable, venv, cwd=room)
    python = venv / "bin" / "python"
    run(UV, "pip", "sync", "--python", python, wanted, cwd=room)
    run(UV, "pip", "install", "--python", python, "--no-deps", wheel, cwd=room)
    return python.parent


def alone(installed, home):
    """The environment of a machine that has the package and no other program."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "EARSHOT", "UV"))}
    return {**kept, "PATH": str(installed), "HOME": str(home), "COLUMNS": "200"}


@pytest.mark.slow
def test_the_installed_package_has_all_that_it_imports(installed, tmp_path):
    code = """
import importlib, pkgutil, earshot
names = [m.name for m in pkgutil.walk_packages(earshot.__path__, "earshot.")]
names = [n for n in names if not n.startswith("earshot.testing") and "__main__" not in n]
names = [n for n in names if n != "earshot.control._migrations.env"]  # Alembic runs it
print(len([importlib.import_module(n) for n in names]))
"""
    environment = alone(installed, tmp_path)
    said = run(installed / "python", "-c", code, cwd=tmp_path, env=environment)

    assert int(said) > 100


@pytest.mark.slow
def test_the_installed_program_says_what_it_is(installed, tmp_path):
    environment = alone(installed, tmp_path)

    said = run(installed / "earshot", "--version", cwd=tmp_path, env=environment)
    assert said == f"earshot {earshot.__version__}\n"
    helped = run(installed / "earshot", "--help", cwd=tmp_path, env=environment)
    assert "replay" in helped
    assert not list(tmp_path.iterdir()), "asking for help writes nothing"


@pytest.mark.slow
def test_the_installed_program_serves_the_web_app_without_node(installed, tmp_path):
    command = [installed / "earshot", "--home", tmp_path / "home", "up", "--no-collect"]
    with subprocess.Popen(
        [*map(str, command), "--port", "0"],
        cwd=tmp_path,
        env={**alone(installed, tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watch = threading.Timer(90, os.killpg, (process.pid, signal.SIGKILL))
        watch.start()
        try:
            link = next(
                filter(None, (re.search(r"http://localhost:\d+", s) for s in process.stdout))
            )
            with urlopen(f"{link[0]}/") as answer:
                page, kind = answer.read().decode(), answer.headers["Content-Type"]
            (script,) = re.findall(r'src="(/assets/[^"]+\.js)"', page)
            with urlopen(link[0] + script) as answer:
                cached = answer.headers["Cache-Control"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            watch.cancel()

    assert kind.startswith("text/html")
    assert "immutable" in cached
    assert process.returncode in (0, 128 + signal.SIGTERM)


# -- the repository ---------------------------------------------------------------------------

PRIVATE = {
    "a path of somebody's machine": rb"(?<![\w.])/(?:home|Users|root|wor[k]|mnt|srv)/"
    rb"(?!ada/)[a-z]\w*/[\w.]",  # ada is nobody
    "a path of a session": rb"/tmp/[\w.-]*(?:job|session)[\w.-]*/",
    "a private registry": rb"(?:index-url|extra-index-url|registry)\s*[=:]\s*\"?https?://"
    rb"(?!pypi\.org|registry\.npmjs\.org)",
    "credentials in an address": rb"https?://[\w.-]+:[^\s@/\"']{3,}@[\w.-]+",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY",
    "a key of a cloud": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}\b",
    "a token of a code host": rb"\bgh[pousr]_[A-Za-z0-9]{36}|\bglpat-[\w-]{20}|\bgithub_pat_\w{40}",
    "a token of a service": rb"\bxox[abprs]-[\w-]{10}|\bsk-[A-Za-z0-9_-]{32}|\bA{17}\w{20}",
    "a web token": rb"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16}",
    "a token of Earshot": rb"\besh_\d+_[A-Za-z0-9_-]{32}",
}
LARGEST = 5_000_000


@pytest.fixture(scope="module")
def kept():
    """Every file that git keeps, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("no git here")
    return [p for n in listed.stdout.split("\0") if n and (p := ROOT / n).is_file()]


def test_nothing_private_is_in_the_repository(kept):
    found = {
        f"{path.relative_to(ROOT)}: {what}": match[0]
        for path in kept
        for what, pattern in PRIVATE.items()
        if (match := re.search(pattern, path.read_bytes()))
    }

    assert not found


def test_what_is_private_would_be_found():
    samples = {
        "a path of somebody's machine": b"see /ho" + b"me/eve/earshot/x.py",
        "a private registry": b'index-url = "https' + b"://pypi.corp.example/simple",
        "credentials in an address": b"https:" + b"//ada:hunter22@example.org/x",
        "a private key": b"-----BEGIN RSA PRIV" + b"ATE KEY-----",
        "a token of Earshot": b"esh_3_" + b"a" * 43,
    }
    for what, sample in samples.items():
        assert re.search(PRIVATE[what], sample), what


def test_no_file_is_large(kept):
    assert not [p for p in kept if p.stat().st_size > LARGEST]
