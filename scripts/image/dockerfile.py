"""The Dockerfile: read into stages and instructions. What is not understood is refused, so nothing is left out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OPTIONS: Mapping[str, frozenset[str]] = {
    "COPY": frozenset({"from"}),
    "HEALTHCHECK": frozenset({"interval", "retries", "start-period", "timeout"}),
}
"""What instructions may have before their arguments."""
KNOWN = frozenset({"ARG", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"})


class DockerfileError(Exception):
    """The Dockerfile has something that these scripts cannot carry out."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in upper case, and the rest of its lines, joined."""

    name: str
    rest: str

    @property
    def options(self) -> dict[str, str]:
        """The options before the arguments, as `--from=web`."""
        return dict(re.findall(r"--([a-z-]+)=(\S+)", self.rest.removesuffix(self.arguments)))

    @property
    def arguments(self) -> str:
        """The rest without its options."""
        return re.sub(r"^(--[a-z-]+=\S+\s+)*", "", self.rest)

    @property
    def command(self) -> list[str]:
        """The words of the form `["python", "-m", "app"]`."""
        try:
            words = json.loads(self.arguments)
        except ValueError:
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DockerfileError(f"{self.name} must be a list of words: {self.arguments}")
        return words


@dataclass
class Stage:
    """One stage: what it is built on, and its instructions in order."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction:
        found = [one for one in self.instructions if one.name == name]
        if not found:
            raise DockerfileError(f"the stage {self.name} has no {name}")
        return found[-1]

    def environment(self, before: Mapping[str, str]) -> dict[str, str]:
        """The variables in `before`, and those that ENV sets over them."""
        variables = dict(before)
        for one in self.instructions:
            if one.name == "ENV":
                for pair in shlex.split(one.rest):
                    name, _, value = pair.partition("=")
                    variables[name] = re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], ""), value)
        return variables


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions, without comments, each with its continued lines joined as Docker joins them."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in kept.replace("\\\n", "").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            if name.upper() not in KNOWN:
                raise DockerfileError(f"{name} is not carried out by these scripts")
            one = Instruction(name.upper(), rest.strip())
            if unknown := sorted(one.options.keys() - OPTIONS.get(one.name, frozenset())):
                raise DockerfileError(f"{one.name} --{unknown[0]} is not carried out by these scripts")
            yield one


def stages(path: Path) -> list[Stage]:
    """All stages in order. Raises `DockerfileError`."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for one in instructions(path.read_text()):
        if one.name == "ARG" and not found:
            name, _, value = one.rest.partition("=")
            arguments[name] = value
        elif one.name == "FROM":
            base, _, name = one.rest.partition(" AS ")
            found.append(Stage(name, re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)))
        elif not found:
            raise DockerfileError(f"{one.name} stands before the first FROM")
        elif one.name == "ARG":
            raise DockerfileError("ARG after the first FROM is not carried out by these scripts")
        else:
            found[-1].instructions.append(one)
    return found


def ignored(rules: Sequence[str], path: str) -> bool:
    """Whether .dockerignore leaves `path` out. The last rule that fits it, or a folder above it, decides."""
    out = False
    above = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for rule in rules:
        keeps = rule.startswith("!")
        pattern = _pattern(rule.removeprefix("!"))
        if any(pattern.fullmatch(part) for part in above):
            out = not keeps
    return out


def rules_of(path: Path) -> list[str]:
    """The rules of a .dockerignore, in order."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line.rstrip("/") for line in lines if line and not line.startswith("#")]


def _pattern(rule: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))
