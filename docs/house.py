"""Draw the house in CONTRIBUTING.md from the code, so that the drawing cannot drift.

Folders, subjects and imports are read from the source; only the order of the floors and the places worth finding are
written here. Run ``python docs/house.py`` after a change of either; the tests fail while the drawing is stale.
"""

import ast
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "CONTRIBUTING.md"

STOREYS = [
    ["heron.errors", "heron.version", "heron.messaging", "heron.agents"],
    ["heron.batch", "heron.vector", "heron.play"],
    ["heron.envs"],
    [
        "heron.wrappers.sources",
        "heron.wrappers.workers",
        "heron.wrappers.make_vec",
        "heron.wrappers.gym",
        "heron.wrappers.pettingzoo",
        "heron.wrappers.rllib",
        "heron.wrappers.sb3",
        "heron.wrappers",
    ],
    ["heron.training", "heron.testing", "heron.cli"],
]
"""Floors from the ground up, by storeys, between which the drawing has a line."""

FLOORS = [*chain.from_iterable(STOREYS), "heron"]
"""Each floor may import itself and the floors before it in this list."""

PLACES = [
    ("a command becomes a message", ["heron.vector:EdgeLanes.send_commands", "heron.messaging:MessageLane"]),
    ("an info goes upstream", ["heron.vector:EdgeLanes.send_infos"]),
    ("an episode is reset on request", ["heron.vector:HierarchicalVectorEnv.reset_envs", "heron.batch:BatchEnv.reset"]),
    ("an episode is reset automatically", ["heron.play:AutoresetLearner"]),
    (
        "an action reaches the environment",
        ["heron.vector:HierarchicalVectorEnv.advance", "heron.batch:BatchEnv.step", "heron.wrappers.sources:LoopEnv"],
    ),
    ("a policy is asked", ["heron.play:GroupDecider"]),
    ("to add a broker", ["heron.messaging:MessageBroker", "heron.messaging:BrokerWrapper"]),
    ("to add a world", ["heron.batch:ArrayEnv", "heron.envs"]),
    ("to add a source of environments", ["heron.batch:BatchEnv", "heron.wrappers.sources:LoopEnv"]),
    ("to add a view", ["heron.wrappers.gym:GymVectorEnv", "heron.play:AutoresetLearner"]),
    ("to add a command", ["heron.cli:app"]),
]
"""Questions and the places that answer them: a folder, or ``folder:name`` of a class or function in it."""

WIDTHS = (17, 47, 37)
"""Characters for folder, subject and imports."""

CORE_LIBRARIES = {"numpy", "gymnasium", "pettingzoo", "cloudpickle", "_typeshed"}
"""Dependencies of the core, and types without a library, which are not drawn."""


def _modules() -> Iterator[tuple[str, Path]]:
    for folder in ("heron", "envs", "wrappers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            # Where heron/envs and heron/wrappers are links, newer Pythons follow them.
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[0] == "heron" and parts[1] in {"envs", "wrappers"}:
                continue
            names = parts if parts[0] == "heron" else ("heron", *parts)
            yield ".".join(names[:-1] if names[-1] == "__init__" else names), path


MODULES = dict(_modules())
"""Module name -> its file."""


def floor(module: str) -> str:
    """Return the floor that a module belongs to.

    Raises:
        LookupError: If it belongs to none.
    """
    fits = [name for name in FLOORS if module == name or (name != "heron" and module.startswith(f"{name}."))]
    if not fits:
        raise LookupError(f"{module} is on no floor: add its folder to FLOORS in docs/house.py")
    return max(fits, key=len)


@cache
def syntax(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports, at its top or in a function."""
    found: set[str] = set()
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inside or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found & MODULES.keys()) - {module}


def libraries(module: str) -> set[str]:
    """Return the optional libraries that a module imports, at its top or in a function."""
    names: set[str] = set()
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
    return names - {"heron", *CORE_LIBRARIES, *sys.stdlib_module_names}


def folders(name: str) -> list[str]:
    """Return a floor and the folders in it that are no floors of their own."""
    inside = [module for module in MODULES if floor(module) == name and MODULES[module].name == "__init__.py"]
    return sorted({name, *inside})


def path_of(module: str) -> str:
    """Return the path of a module in the checkout, that of its folder for a package."""
    path = MODULES[module].relative_to(ROOT)
    return f"{path.parent.as_posix()}/" if path.name == "__init__.py" and module != "heron" else path.as_posix()


def subject(module: str) -> str:
    """Return the first sentence of a module's docstring, up to a colon if it does not fit on one line."""
    text = " ".join((ast.get_docstring(syntax(module)) or "").partition("\n\n")[0].split()).replace("`", "")
    sentence = text.partition(". ")[0].rstrip(".")
    return sentence if len(sentence) <= WIDTHS[1] else sentence.partition(": ")[0]


def imported_by(name: str) -> str:
    """Return the floors and libraries that a floor imports, as text."""
    inside = [module for module in MODULES if floor(module) == name]
    found = {floor(one) for module in inside for one in imports(module)} - {name, "heron.errors", "heron.version"}
    others = sorted({one for module in inside for one in libraries(module)})
    return ", ".join([one.rpartition(".")[2] for one in FLOORS if one in found] + others)


def _rows(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a floor, wrapped."""
    for module in folders(name):
        path = path_of(module)
        if module != name or name.startswith("heron.wrappers."):
            path = f"  {path.removesuffix('/').rpartition('/')[2]}{'/' if path.endswith('/') else ''}"
        texts = (path, subject(module), imported_by(module) if module == name else "")
        yield from zip_longest(*map(textwrap.wrap, texts, WIDTHS), fillvalue="")


def drawing() -> str:
    """Return the house, roof first, as a block of Markdown."""
    rule = "─" * (sum(WIDTHS) + 6)
    lines = []
    for storey in reversed(STOREYS):
        lines.append(f"├{rule}┤" if lines else f"┌{rule}┐")
        for name in reversed(storey):
            for cells in _rows(name):
                padded = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
                lines.append(f"│ {'  '.join(padded)} │")
    return "\n".join(["```text", *lines, f"└{rule}┘", "```"])


def place(where: str) -> str:
    """Return the file that defines ``folder:name``, or the folder itself, in Markdown.

    Raises:
        LookupError: If the folder does not define the name.
    """
    folder, _, name = where.partition(":")
    if not name:
        return f"`{path_of(folder)}`"
    for module in MODULES:
        if (module == folder or module.startswith(f"{folder}.")) and name in _defined(syntax(module)):
            return f"`{name}` in [{path_of(module)}]({path_of(module)})"
    raise LookupError(f"{folder} defines no {name}: correct PLACES in docs/house.py")


def _defined(tree: ast.Module) -> set[str]:
    """Return the classes, functions, methods and variables that a module defines, methods as ``Class.method``."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found |= {node.name}
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def places() -> str:
    """Return the places worth finding, as a table of Markdown."""
    rows = [f"| {what} | {', '.join(map(place, wheres))} |" for what, wheres in PLACES]
    return "\n".join(["| where | look at |", "|---|---|", *rows])


def updated(document: str) -> str:
    """Return a document with a new drawing and new places between their markers."""
    for name, text in (("house", drawing()), ("places", places())):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = document.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise LookupError(f"CONTRIBUTING.md has no markers {begin} and {end}")
        document = f"{before}{begin}\n{text}\n{end}{after}"
    return document


def main() -> None:
    """Bring CONTRIBUTING.md up to date."""
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
