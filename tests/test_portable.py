"""What m2s needs of the system: nothing that only POSIX has, no text file in the system's own encoding."""

import ast
import json
import re
import subprocess
from pathlib import Path, PureWindowsPath

import pytest

from m2s.paths import ROOT

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "chown", "fork", "forkpty", "getgid", "getloadavg", "getpgid", "getpgrp", "getuid", "killpg", "mkfifo", "nice",
    "setpgid", "setsid", "statvfs", "sysconf", "uname", "wait3", "wait4", "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1",
}  # fmt: skip
FILES = sorted(p for folder in ("m2s", "docs", "data_scripts", "notebooks") for p in (ROOT / folder).rglob("*.*"))
SOURCES = [path for path in FILES if path.suffix in (".py", ".ipynb") and ".ipynb_checkpoints" not in path.parts]
SOURCES = [path for path in SOURCES if "executed" not in path.parts]


def read_code(path: Path) -> str:
    """The code of a module, or of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    code = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", "\n".join(code))


def find_posix(tree: ast.AST) -> list[str]:
    """The uses of what only POSIX has; names that are asked for by ``getattr`` or ``hasattr`` are none."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"line {node.lineno}: {name}" for name in modules if name in POSIX_MODULES]
            found += [f"line {node.lineno}: {a.name}" for a in node.names if a.name in POSIX_NAMES]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "signal"):
            found += [f"line {node.lineno}: {node.attr}"] * (node.attr in POSIX_NAMES)
        if isinstance(node, ast.Call) and any(k.arg in ("preexec_fn", "pass_fds") for k in node.keywords):
            found.append(f"line {node.lineno}: preexec_fn or pass_fds")
    return found


def find_unnamed_encodings(tree: ast.AST) -> list[str]:
    """The calls that read or write text in the system's own encoding, which is not UTF-8 everywhere."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        words = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        method = isinstance(node.func, ast.Attribute)
        modes = [a.value for a in node.args if isinstance(a, ast.Constant) and re.fullmatch("[rwaxbt+]+", str(a.value))]
        mode = (modes or [words.get("mode", "r")])[0]
        text = name == "read_text" and method and not node.args
        text |= name == "write_text" and method and len(node.args) == 1
        text |= name == "open" and not method and "b" not in mode
        text |= name == "open" and method and (not node.args or bool(modes)) and "b" not in mode
        text |= words.get("text") is True or words.get("universal_newlines") is True
        found += [f"line {node.lineno}: {name}"] * text
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_needs_no_posix_and_names_its_encodings(path):
    tree = ast.parse(read_code(path))
    assert find_posix(tree) + find_unnamed_encodings(tree) == []


def test_the_scan_finds_what_it_looks_for():
    bad = "import fcntl\nfrom os import killpg\nos.fork()\nsignal.SIGHUP\nPopen(x, preexec_fn=f)"
    assert {line.split(":")[0] for line in find_posix(ast.parse(bad))} == {f"line {n}" for n in range(1, 6)}
    assert find_posix(ast.parse("getattr(signal, 'SIGHUP')\nos.replace(a, b)")) == []
    bad = "p.read_text()\np.write_text(x)\nopen(p)\nopen(p, 'w')\np.open('a')\np.open(newline='')\nrun(x, text=True)"
    assert {line.split(":")[0] for line in find_unnamed_encodings(ast.parse(bad))} == {f"line {n}" for n in range(1, 8)}
    good = "p.read_text(encoding='utf-8')\nopen(p, 'rb')\np.open('wb')\nImage.open(p)\nwrite_text(p, x)\nrun(x)"
    assert find_unnamed_encodings(ast.parse(good)) == []


def list_names() -> list[str]:
    """Every file of the repository, as git names it."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout.decode()
    return listed.strip("\0").split("\0")


def test_windows_takes_every_file_name():
    names = list_names()
    for name in names:
        path = PureWindowsPath(name)
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]', name), name
        assert not any(part.endswith((".", " ")) for part in path.parts), name
        assert not any(re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part) for part in path.parts), name
        assert len(name) <= 140, f"{name}: with the folder before it, Windows takes 260 characters"


def test_no_two_names_differ_by_case_alone():
    names = list_names()
    folders = {parent.as_posix() for name in names for parent in Path(name).parents}
    for group in (names, folders):
        assert len({name.lower() for name in group}) == len(group)
