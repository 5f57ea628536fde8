"""What is installed from a source distribution, by way of a wheel, is the whole package and works from any folder."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # two builds take seconds, and both tests need them
ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
TOLD = "The Tower of Karlov was built in 1742 by Anna Petersen. It holds 19 brass bells."


def built(kind: str, source: Path, out: Path) -> Path:
    """The file that `kind`, "sdist" or "wheel", makes of a source folder, without a network."""
    code = f"import sys; from setuptools.build_meta import build_{kind}; build_{kind}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=source, check=True, capture_output=True)  # noqa: S603
    [path] = out.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution of this tree."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=LEFT_OUT)
    for name in ("sdist", "unpacked", "wheel"):
        (folder / name).mkdir()
    sdist = built("sdist", folder / "tree", folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [source] = (folder / "unpacked").iterdir()
    return built("wheel", source, folder / "wheel")


def files(folder: Path) -> Iterator[str]:
    """The files of the package, those behind its symbolic links too."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            yield from files(path)
        elif path.is_file():
            yield path.relative_to(ROOT).as_posix()


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("seal_agent/")}
    assert packed == set(files(ROOT / "seal_agent"))


def test_what_the_wheel_installs_learns_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "SEAL_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(  # noqa: S603
            command, cwd=tmp_path, env=environment, input=TOLD, capture_output=True, text=True, check=True
        )
        return done.stdout

    imported = run("-c", "from seal_agent import SelfAdaptation, create_chat_graph as c; print(c.__code__.co_filename)")
    assert Path(imported.strip()).is_relative_to(tmp_path / "installed")
    assert "(learned as " in run("-m", "seal_agent", "chat", "--model", "scripted")
