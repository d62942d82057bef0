"""The rule of directions, runner -> bots -> processors -> engines, and other rules of importing."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("engines", "processors", "bots", "runner")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


@dataclass(frozen=True)
class Use:
    """A name from elsewhere that a module uses.

    Attributes:
        module: Path of the module that uses it.
        line: Where.
        name: Dotted, `bots.models.ModelStore` for `from bots.models import ModelStore`.
        if_main: Whether this runs only under `if __name__ == "__main__":`.
    """

    module: str
    line: int
    name: str
    if_main: bool = False

    def is_within(self, *packages: str) -> bool:
        return any(f"{self.name}.".startswith(f"{package}.") for package in packages)

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.name}"


def scan(module: Path, source: str) -> Iterator[Use]:
    """Find all imports of a module, wherever they stand in it, and what it uses of `os.environ`.

    Args:
        module: Its path, from the root of the project.
        source: Its text.
    """
    tree = ast.parse(source)
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                origin = [*module.parts[: -node.level]] if node.level else []
                origin += [node.module] if node.module else []
                names = [".".join([*origin, alias.name]) for alias in node.names]
            case ast.Attribute(attr=name) if name in ENVIRONMENT:
                names = [f"os.{name}"]
            case _:
                continue
        for name in names:
            yield Use(module.as_posix(), node.lineno, name, node in guarded)


def uses_in(*packages: str) -> list[Use]:
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(paths) > len(packages), "the packages are somewhere else"
    return [
        use
        for path in paths
        for use in scan(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    ]


def test_engines_import_nothing_of_the_house_and_no_pipecat() -> None:
    above = ("processors", "bots", "runner", "pipecat")
    assert [str(use) for use in uses_in("engines") if use.is_within(*above)] == []


def test_processors_import_neither_bots_nor_runner() -> None:
    assert [str(use) for use in uses_in("processors") if use.is_within("bots", "runner")] == []


def test_bots_do_not_import_runner() -> None:
    assert [str(use) for use in uses_in("bots") if use.is_within("runner")] == []


def test_only_the_settings_and_the_models_cache_look_at_the_environment() -> None:
    # ONNX Runtime and llama.cpp's OpenMP can be told of nothing in another way.
    told = {"bots/__init__.py", "engines/llama.py"}
    may_look = {"bots/settings.py", "bots/models/directory.py", *told}
    names = [f"os.{name}" for name in ENVIRONMENT] + ["pydantic_settings"]
    looks = [use for use in uses_in(*PACKAGES) if use.is_within(*names)]
    assert [str(use) for use in looks if use.module not in may_look] == []


def test_only_the_command_line_reads_a_dotenv_file() -> None:
    reads = [use for use in uses_in(*PACKAGES) if use.is_within("dotenv")]
    assert [str(use) for use in reads if use.module != "runner/cli.py"] == []


def test_pipecats_own_runner_is_imported_only_by_a_module_that_is_run() -> None:
    imports = [use for use in uses_in(*PACKAGES) if use.is_within("pipecat.runner.run")]
    assert [str(use) for use in imports if not use.if_main] == []


def test_the_scan_finds_every_form_of_import() -> None:
    source = """
import runner.a, bots as b
from runner import c
from runner.d import e as f
from . import g
from ..h import i
if TYPE_CHECKING:
    import runner.j
def k():
    from runner import l
os.environ["M"]
from os import getenv
if __name__ == "__main__":
    from pipecat.runner.run import n
else:
    from pipecat.runner import run
"""
    uses = set(scan(Path("bots/tools/module.py"), source))
    assert {use.name for use in uses if not use.if_main} == {
        "runner.a", "bots", "runner.c", "runner.d.e", "bots.tools.g", "bots.h.i", "runner.j",
        "runner.l", "os.environ", "os.getenv", "pipecat.runner.run",
    }  # fmt: skip
    assert {use.name for use in uses if use.if_main} == {"pipecat.runner.run.n"}
