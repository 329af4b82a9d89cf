"""A checkout without symbolic links works in place, and no build leaves a folder out."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("heron", "envs", "wrappers", "tests", "pyproject.toml", "setup.py", "README.md", "LICENSE")
FOLDERS = ("heron", "envs", "wrappers")

PROBE = """
import importlib.util, pickle
import heron, heron.envs, heron.wrappers.sb3, heron.wrappers.sources.loop_env
from heron.wrappers.gym.gym_env import GymEnv
assert GymEnv is heron.wrappers.GymEnv is pickle.loads(pickle.dumps(GymEnv))
assert heron.make_vec.__module__ == "heron.wrappers.make_vec"
assert not [name for name in ("tests", "examples", "heron") if importlib.util.find_spec(f"heron.{name}")]
print(heron.envs.__file__, heron.wrappers.__file__, heron.wrappers.sources.__file__, sep="\\n")
"""

BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2]))"


def python(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def build(kind: str, checkout: Path, target: Path) -> Path:
    done = python(checkout, "-c", BUILD, kind, target)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.split()[-1]


def modules(checkout: Path) -> set[str]:
    """Return the files that a package must hold, by their names in it."""
    found = {
        path.relative_to(checkout)
        for folder in FOLDERS
        for path in (checkout / folder).rglob("*.py")
        if not (checkout / folder).is_symlink()
    }
    return {str(path if path.parts[0] == "heron" else Path("heron", path)) for path in found} | {"heron/py.typed"}


@pytest.fixture
def linked(tmp_path) -> Path:
    """A checkout as it is now, without what earlier builds left behind."""
    folder = tmp_path / "linked"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


@pytest.fixture
def unlinked(linked, tmp_path) -> Path:
    """The same after ``git clone -c core.symlinks=false``, or as that leaves it where there is no Git."""
    clone = tmp_path / "unlinked"
    if git := shutil.which("git"):
        named = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        for command in (
            ("init", "--quiet"),
            ("add", "--force", "."),
            (*named, "commit", "--quiet", "--no-verify", "--message=all"),
            ("clone", "--quiet", "-c", "core.symlinks=false", linked, clone),
        ):
            subprocess.run([git, *command], cwd=linked, check=True, timeout=60)
    else:
        shutil.copytree(linked, clone, symlinks=True)
        for link in (clone / "heron" / "envs", clone / "heron" / "wrappers"):
            target = link.readlink()
            link.unlink()
            link.write_text(str(target))
    assert (clone / "heron" / "wrappers").read_text() == "../wrappers"
    return clone


def expected_files(checkout: Path) -> list[str]:
    return [str(checkout / path) for path in ("envs", "wrappers", "wrappers/sources")]


def test_import_without_links(unlinked):
    done = python(unlinked, "-c", PROBE, PYTHONPATH=str(unlinked))

    assert done.returncode == 0, done.stderr
    assert [str(Path(line).parent) for line in done.stdout.split()] == expected_files(unlinked)


def test_editable_install_without_links(unlinked, tmp_path):
    site = tmp_path / "site"
    shutil.unpack_archive(build("editable", unlinked, tmp_path), site, "zip")

    # Without the `site` of Python's own start, since an editable install of this very checkout would be found there.
    begin = f"import site, sys; site.addsitedir({str(site)!r}); sys.path.append({str(Path(np.__file__).parents[1])!r})"
    done = python(tmp_path, "-S", "-c", f"{begin}\n{PROBE}")

    assert done.returncode == 0, done.stderr
    assert [str(Path(line).parent) for line in done.stdout.split()] == expected_files(unlinked)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_build_without_links_is_refused(kind, unlinked, tmp_path):
    done = python(unlinked, "-c", BUILD, kind, tmp_path)

    assert done.returncode != 0
    assert "heron/envs and heron/wrappers" in done.stderr
    assert "core.symlinks true" in done.stderr
    assert not [*tmp_path.glob("*.whl"), *tmp_path.glob("*.tar.gz")]


def test_pip_says_why_it_builds_nothing_without_links(unlinked, tmp_path):
    options = ("--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--wheel-dir", tmp_path)
    done = python(unlinked, "-m", "pip", "wheel", ".", *options)

    assert done.returncode != 0
    assert "core.symlinks true" in done.stdout + done.stderr


def test_wheel_and_sdist_hold_every_module(linked, tmp_path):
    expected = modules(linked)
    assert {"heron/wrappers/sources/loop_env.py", "heron/envs/__init__.py", "heron/py.typed"} <= expected

    wheel = build("wheel", linked, tmp_path)
    assert {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name} == expected

    with tarfile.open(build("sdist", linked, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("heron_rl-*/")
    rebuilt = build("wheel", unpacked, tmp_path / "rebuilt")
    assert {name for name in ZipFile(rebuilt).namelist() if ".dist-info/" not in name} == expected
