"""Modules: keeps out of the process what it would hold for good and never use.

Libraries import more than a server needs: SDKs all models of their API, uvicorn and httpx their command lines. Together
these take a fifth of an idle process. `tests/test_modules.py` names what is not to come back.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple


def hide(*modules: str) -> None:
    """Have these modules be as if they were not installed. For libraries that import them if they are there, and go on
    without them if they are not."""
    for name in modules:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def restore(module: str, *importers: str) -> None:
    """Undo `hide`, if it was done, and import again whoever has gone without the module."""
    if module in sys.modules and sys.modules[module] is None:
        del sys.modules[module]
        for name in importers:
            importlib.reload(sys.modules[name])


@contextmanager
def hidden(*modules: str) -> Iterator[None]:
    """Have them be so within the block."""
    hide(*modules)
    yield
    for name in modules:
        if sys.modules[name] is None:
            del sys.modules[name]


def import_when_used(*modules: str) -> None:
    """Import these modules when something of them is used first. Not `importlib.util.LazyLoader`: its modules are
    imported by whoever looks for the file of each module, as `inspect` does."""
    for name in modules:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is not None:
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            module.__dict__["__getattr__"] = partial(_imported, module)


def _imported(module: ModuleType, name: str) -> Any:
    loader: Any = module.__loader__
    if name.startswith("__") or loader is None:
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
    del module.__dict__["__getattr__"]
    loader.exec_module(module)
    return getattr(module, name)


def import_when_named(*packages: str) -> None:
    """Have these packages, and the packages in them, import a module of theirs when one of its names is used. Concerns
    only packages that do nothing but import names from their modules. Must come before their first import."""
    sys.meta_path[:0] = [_Finder(package) for package in packages]


class _Contents(NamedTuple):
    """What a package has that only imports names."""

    names: dict[str, tuple[str, str]]
    """The module and the original of each name."""
    constants: dict[str, object]

    @classmethod
    def of(cls, source: str, package: str) -> _Contents | None:
        """None if the package does more than that."""
        contents = cls({}, {})
        for statement in ast.parse(source).body:
            match statement:
                case ast.ImportFrom(module="__future__") | ast.Expr(value=ast.Constant()):
                    pass
                case ast.ImportFrom(module=str(module), names=imported, level=0 | 1 as level):
                    if any(alias.name == "*" for alias in imported) or not (level or module.startswith(f"{package}.")):
                        return None
                    of_module = f"{package}.{module}" if level else module
                    contents.names.update({alias.asname or alias.name: (of_module, alias.name) for alias in imported})
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() | ast.List() as value):
                    contents.constants[name] = ast.literal_eval(value)
                case _:
                    return None
        return contents


class _Names(Loader):
    """Makes a package that has the same names."""

    def __init__(self, contents: _Contents) -> None:
        self._contents = contents

    def exec_module(self, module: ModuleType) -> None:
        package, names = module.__name__, self._contents.names

        def value_of(name: str) -> Any:
            if name in names:
                of_module, original = names[name]
                value = getattr(importlib.import_module(of_module), original)
                setattr(module, name, value)
                return value
            if not name.startswith("__") and importlib.util.find_spec(f"{package}.{name}") is not None:
                return importlib.import_module(f"{package}.{name}")
            raise AttributeError(f"module {package!r} has no attribute {name!r}")

        module.__dict__.update({"__all__": list(names), **self._contents.constants, "__getattr__": value_of})


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._package and not name.startswith(f"{self._package}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.submodule_search_locations is not None:
            source = spec.loader.get_source(name) if isinstance(spec.loader, InspectLoader) else None
            contents = None if source is None else _Contents.of(source, name)
            if contents is not None:
                spec.loader = _Names(contents)
        return spec
