"""What pyproject.toml cannot say: the installed package carries three folders that lie beside it in the repository."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("results/published", "samples", "weights")


class BuildWithFolders(build_py):
    """The package, and in ``m2s/carried/`` what ``m2s.paths.CARRIED`` is asked for; an editable one needs no copies."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for folder in FOLDERS:
                self.copy_tree(folder, str(Path(self.build_lib, "m2s", "carried", folder)))


setup(cmdclass={"build_py": BuildWithFolders})
