"""Refuse to build a package that would lack folders; everything else about the build is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import SetupError

LINKS = {"heron/envs": "envs", "heron/wrappers": "wrappers"}


def require_linked_folders() -> None:
    """Check that the symbolic links in ``heron/`` lead to their folders.

    Raises:
        SetupError: If a link is missing, as in a clone with ``core.symlinks=false``.
    """
    root = Path(__file__).parent
    missing = [link for link, folder in LINKS.items() if not (root / link / "__init__.py").is_file()]
    if missing:
        links = " and ".join(missing)
        raise SetupError(
            f"{links} should be symbolic links to folders, but this checkout has none, so the package would lack their "
            "modules. Run `git config core.symlinks true` and `git checkout -- heron` in it (on Windows, turn on "
            "Developer Mode first), then build again. An editable install, `pip install --editable .`, needs no links."
        )


class CheckedBuild(build_py):
    """Build of the modules, which an editable install leaves where they are."""

    def run(self) -> None:
        """Check the links, then build."""
        if not self.editable_mode:
            require_linked_folders()
        super().run()


class CheckedSdist(sdist):
    """Source distribution."""

    def run(self) -> None:
        """Check the links, then build."""
        require_linked_folders()
        super().run()


setup(cmdclass={"build_py": CheckedBuild, "sdist": CheckedSdist})
