"""The README and the pages of docs/ name only what is there: files, modules, names, links, commands and options."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

import seal_agent
from seal_agent import __all__ as public_names
from seal_agent.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "examples").glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LOG = ROOT / "docs" / "log"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?:seal_agent|graphs|adapters|tests|examples|docs|constraints)/[\w./*-]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAME = re.compile(r"\bseal_agent(?:\.\w+)+")
MAX_README_LINES, MAX_COLUMNS = 65, 120


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every `seal-agent` command that stands in a line of its own, without the program's name."""
    for body in fences(page, "console"):
        for line in body.replace("\\\n", " ").split("\n"):
            yield from words_of(line.removeprefix("$ ")) if line.startswith("$ ") else ()


def mentions(page: Path) -> Iterator[list[str]]:
    """As `commands`, in the text: some are not whole."""
    for code in CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield from words_of(code)


def words_of(line: str) -> Iterator[list[str]]:
    if "seal-agent" not in line:
        return  # it may hold an apostrophe, which no command line would
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S+", words[0]):
        words = words[1:]
    if words[:1] == ["seal-agent"]:
        yield words[1:]


@cache
def program() -> Any:
    return typer.main.get_command(app)


def fault_of(words: list[str], *, is_whole: bool = False) -> str:
    """What is wrong with a command: no such command or option, or, if it is whole, that it does not parse."""
    command = program()
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in {*options, "--help"}]
    if unknown:
        return f"there is no option {unknown[0]!r}"
    try:
        if is_whole and not hasattr(command, "commands"):
            command.make_context(command.name, list(words))
    except TyperException as error:
        return error.format_message()
    return ""


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """The names that statements define or import, as far as reading them shows."""
    found: dict[str, ast.stmt] = {}
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {
                name.id: statement for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name: statement for alias in statement.names}
    return found


def exists(name: str) -> bool:
    """Whether `seal_agent.a.b.C.d` is a module, a name in one, or a name in a class of one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        folder = ROOT.joinpath(*parts[:length])
        file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        if file.is_file():
            break
    rest = parts[length:]
    if length == 1 and rest:
        return rest[0] in public_names
    body = tree(file).body
    for part in rest:
        known = defined(body)
        if part not in known:
            return False
        found = known[part]
        body = found.body if isinstance(found, ast.ClassDef) else []
    return True


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    spans = [*CODE.findall(FENCE.sub("", text)), *fences(page, "console"), *re.findall(r'--8<-- "([^":]+)', text)]
    paths = {path.rstrip(".") for span in spans for path in PATH.findall(span) if not re.search(r"\b[A-Z]{3,}\b", path)}
    missing = [path for path in paths if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())]
    assert not missing, f"{page.name} names files that do not exist: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    targets = [target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    inside = [target for target in targets if target and "://" not in target]
    assert not [target for target in inside if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_name_of_the_package_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = {name for name in NAME.findall(text) if not exists(name)}
    assert not missing, f"{page.name} names what is not in the package: {sorted(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_member_of_a_public_class_that_a_page_names_exists(page: Path) -> None:
    for code in CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        owner, _, member = re.split(r"[(=\[ ]", code)[0].partition(".")
        if owner in public_names and member:
            value = getattr(seal_agent, owner)
            assert hasattr(value, member) or member in value.__annotations__, f"{owner} has no {member}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_the_python_of_a_page_imports_exists(page: Path) -> None:
    for body in fences(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "seal_agent":
                missing = [alias.name for alias in node.names if not exists(f"{node.module}.{alias.name}")]
                assert not missing, f"{node.module} has no {missing}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_a_page_shows_is_there_with_its_options(page: Path) -> None:
    if page.parent == LOG:
        return  # commands of their day: what was run then
    faults = {" ".join(words): fault_of(words, is_whole=True) for words in commands(page)}
    faults |= {" ".join(words): fault_of(words) for words in mentions(page)}
    assert not {command: fault for command, fault in faults.items() if fault}


def test_the_checks_find_what_is_not_there() -> None:
    assert fault_of(["adapters", "why", "Who built it?", "--version", "2"]) == ""
    assert fault_of(["adapters", "undo"]) == "there is no command 'undo'"
    assert fault_of(["chat", "--loud"]) == "there is no option '--loud'"
    assert fault_of(["bench", "knowledge"], is_whole=True) == "Missing option '--data'."
    assert fault_of(["bench", "gate", "--edits", "few"], is_whole=True)
    assert exists("seal_agent.open_learner")
    assert exists("seal_agent.storage.database.Home.rollback")
    assert exists("seal_agent.graphs.learning.as_pending")
    assert not exists("seal_agent.storage.database.Home.disconnect")
    assert not exists("seal_agent.storage.nowhere")
    assert not exists("seal_agent.close_learner")


def test_the_readme_is_one_screen() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES
    assert not [line for line in lines if len(line) > MAX_COLUMNS]


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r"[\w/-]+\.md", navigation))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}


def test_the_python_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: seal_agent\.(\w+)$", text, re.MULTILINE)) == sorted(public_names)


RUN = [page for page in PAGES if fences(page, "python")]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=named)
def test_the_python_of_a_page_runs_with_the_scripted_model_in_the_place_of_the_real_one(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAL_HOME", str(tmp_path))
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[1] == "python":
            code = re.sub(r"\b(open_learners?)\(", r'\1("scripted", ', match[2])
            exec(compile(code, named(page), "exec"), {"__name__": page.stem})  # noqa: S102
