"""Building: carries the instructions of all stages out, in order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.image.dockerfile import DockerfileError, Instruction, Stage, ignored, rules_of, stages
from scripts.image.rootfs import PATH, Root


@dataclass(frozen=True)
class Image:
    """What is built: its files, and how it is run."""

    root: Root
    environment: Mapping[str, str]
    folder: str
    user: str
    entrypoint: list[str]
    health: list[str]

    def command(self, *arguments: str, **environment: str) -> list[str]:
        """The command line that runs the image with read-only files."""
        return self._in_it([*self.entrypoint, *arguments], environment)

    def health_check(self, **environment: str) -> list[str]:
        return self._in_it(self.health, environment)

    def other(self, *words: str, **environment: str) -> list[str]:
        """Another command in place of the entry point."""
        return self._in_it(list(words), environment)

    def _in_it(self, words: list[str], environment: Mapping[str, str]) -> list[str]:
        variables = {**self.environment, **environment}
        return self.root.command(words, environment=variables, folder=self.folder, user=self.user, read_only=True)


def build(repository: Path, folder: Path, variables: Mapping[str, str]) -> Image:
    """Build what `repository/Dockerfile` says in `folder`. `variables` are the machine's own, such as those of its
    package registries, for the RUN steps. Raises `DockerfileError` and `RootError`."""
    rules = rules_of(repository / ".dockerignore")
    roots: dict[str, Root] = {}
    made = stages(repository / "Dockerfile")
    for stage in made:
        root = roots[stage.name] = Root(folder / stage.name, stage.base)
        print(f"stage {stage.name}, for {stage.base}", flush=True)
        environment = {"PATH": PATH}
        where = "/"
        for one in stage.instructions:
            environment = Stage(stage.name, stage.base, [one]).environment(environment)
            if one.name == "WORKDIR":
                where = str(Path(where) / one.rest)
                _in(root, where).mkdir(parents=True, exist_ok=True)
            elif one.name == "COPY":
                source = roots[one.options["from"]].files if "from" in one.options else None
                _copy(one, source, repository, rules, _in(root, where), root)
            elif one.name == "RUN":
                print(f"  RUN {' '.join(one.rest.split())[:110]}", flush=True)
                root.run(one.rest, environment={**variables, **environment}, folder=where)
    last = made[-1]
    return Image(
        root=roots[last.name],
        environment=last.environment({"PATH": PATH}),
        folder=where,
        user=last.last("USER").rest,
        entrypoint=last.last("ENTRYPOINT").command,
        health=Instruction("CMD", last.last("HEALTHCHECK").arguments.removeprefix("CMD ")).command,
    )


def _in(root: Root, path: str) -> Path:
    return root.files / path.lstrip("/")


def _copy(one: Instruction, source: Path | None, repository: Path, rules: list[str], here: Path, root: Root) -> None:
    """Copy what COPY names: from the repository without what .dockerignore leaves out, or from an earlier stage."""
    *names, to = one.arguments.split()
    target = _in(root, to) if to.startswith("/") else here / to
    for name in names:
        found = (source or repository) / name.lstrip("/")
        if not found.exists():
            raise DockerfileError(f"COPY {name}: there is no such file")
        files = [found] if found.is_file() else [path for path in sorted(found.rglob("*")) if not path.is_dir()]
        into = target if found.is_dir() else target / found.name if to.endswith("/") or len(names) > 1 else target
        for path in files:
            if source is None and ignored(rules, str(path.relative_to(repository))):
                continue
            copied = into / path.relative_to(found) if found.is_dir() else into
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied, follow_symlinks=False)


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(os.lstat(Path(above) / name).st_size for above, _, names in os.walk(folder) for name in names)
