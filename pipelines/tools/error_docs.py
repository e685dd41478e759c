"""`make docs`: docs/errors.md, every line that ends a run or fails a report, generated from the code.

    pipelines/passona -> calls that create an error -> templates by exit code and class -> docs/errors.md

Values that are filled in at run time are in angle brackets. The text about a class is its docstring. A test compares
the page with the output of this script.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT.parent / "docs/errors.md"
MEANINGS = {
    1: "a fault in this program, or a database that could not be written",
    2: "usage or configuration",
    3: "the server refuses the token",
    4: "some reports failed, the others are loaded",
    5: "some reports were held back, the others are loaded",
    6: "busy",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
}
# Raised and caught inside the program, never shown.
_UNSEEN = {"Stopped"}
# Errors of the command line, which click shows below the verb's usage.
_CLICK = {"UsageError", "BadParameter"}
_INTRODUCTION = """\
# What can go wrong

Made from the code by `make docs`. Every error is a line on standard error (`passona: ...`; with `--log-format json` \
an object with `level` `error`, or `warning` for what is held) and an exit code; `<reason>` of a report that failed \
is one of the lines that follow it. What stands in angle brackets is filled in: a campaign by its uuid, \
never a phone number, a text or the token. `--debug` shows where an error came from.
"""


@dataclass
class Kind:
    """One class of errors: its description and its lines. `exit_code`: None if inherited from the base."""

    name: str
    base: str
    exit_code: str | None
    about: str
    lines: set[str] = field(default_factory=set)


def page() -> str:
    """Return the page for the current code."""
    modules = [_Module(ast.parse(file.read_text("utf-8"))) for file in sorted((ROOT / "passona").rglob("*.py"))]
    kinds = {kind.name: kind for module in modules for kind in module.kinds()}
    codes = _exit_codes(modules)
    # `client` raises these until the last attempt has failed.
    passing = kinds.setdefault("_Transient", Kind("_Transient", "RequestFailed", None, ""))
    passing.base, passing.about = "RequestFailed", "One request could not be answered, and was tried again."
    for module in modules:
        for name, line in module.errors(kinds.keys() | _CLICK):
            known = "_Typed" if name in _CLICK else name
            kinds.setdefault(known, Kind(known, "", "USAGE", "What was typed cannot be understood.")).lines.add(line)
    sections = _by_code(kinds, codes)
    faults = [f"- `{line}`" for module in modules for line in module.bugs()]
    sections[codes["FAULT"]] += ["", "Neither the user nor the server caused it.", "", *faults]
    sections[codes["FAULT"]] += ["", "A file could not be written for want of room.", ""]
    sections[codes["FAULT"]] += ["- `<what the system says>: <file>; make room and run again`"]
    sections[codes["USAGE"]] += ["", "A file could not be read or made.", "", "- `<what the system says>: <file>`"]
    for code in (130, 143):
        sections[code] = [f"- `{line}`" for module in modules for line in module.stops()]
    parts = [f"## {code}: {MEANINGS[code]}\n\n" + "\n".join(lines).strip() + "\n" for code, lines in sections.items()]
    return "\n".join([_INTRODUCTION, *parts])


def _by_code(kinds: dict[str, Kind], codes: dict[str, int]) -> dict[int, list[str]]:
    sections: dict[int, list[str]] = defaultdict(list, {code: [] for code in MEANINGS})
    for kind in sorted(kinds.values(), key=lambda kind: kind.name.lower(), reverse=True):
        if kind.lines and kind.name not in _UNSEEN:
            lines = sorted(kind.lines, key=str.lower)
            sections[codes[_code(kind, kinds)]] += ["", kind.about, "", *(f"- `{line}`" for line in lines)]
    return sections


def _code(kind: Kind, kinds: dict[str, Kind]) -> str:
    return kind.exit_code or (_code(kinds[kind.base], kinds) if kind.base in kinds else "FAULT")


def _exit_codes(modules: list[_Module]) -> dict[str, int]:
    (exit_class,) = (node for module in modules for node in module.classes() if node.name == "Exit")
    return {
        target.id: statement.value.value
        for statement in exit_class.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, int)
    }


class _Module:
    """One file of the program."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        self._functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in self._tree.body if isinstance(node, ast.ClassDef))

    def kinds(self) -> Iterator[Kind]:
        """Yield the classes of errors that this file defines."""
        for node in self.classes():
            base = next((base.id for base in node.bases if isinstance(base, ast.Name)), "")
            if node.name == "PassonaError" or base in ("PassonaError", "Exception"):
                code = next(
                    (
                        statement.value.attr
                        for statement in node.body
                        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Attribute)
                    ),
                    None,
                )
                about = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
                yield Kind(node.name, base, code, about)

    def errors(self, names: set[str]) -> Iterator[tuple[str, str]]:
        """Yield class and line of the errors that this file creates."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and node.args and (name := _last_name(node.func)) in names:
                words = [self._text(argument) for argument in node.args if not isinstance(argument, ast.Starred)]
                yield name, f"page <page>: expected {words[0]}, got {words[1]}" if name == "PageRefused" else words[0]

    def bugs(self) -> Iterator[str]:
        """Yield the lines of `format_error` for errors that are bugs."""
        if "format_error" in self._functions:
            for node in ast.walk(self._functions["format_error"]):
                if isinstance(node, ast.JoinedStr) and "fault" in (line := self._text(node)):
                    yield line

    def stops(self) -> Iterator[str]:
        """Yield the line that is printed when a signal ends the program."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and ast.unparse(node).startswith("line('stopped', "):
                yield self._text(node.args[1])

    def _text(self, node: ast.expr) -> str:  # noqa: PLR0911  # a case for each kind of expression
        """Return the text of an expression, with names in place of values that are not constant."""
        match node:
            case ast.Constant():
                return str(node.value)
            case ast.JoinedStr():
                return "".join(map(self._text, node.values))
            case ast.FormattedValue():
                quotes = "'" if node.conversion == ord("r") else ""
                return f"{quotes}{self._text(node.value)}{quotes}"
            case ast.BinOp(op=ast.Add()) if self._is_text(node.left) or self._is_text(node.right):
                return self._text(node.left) + self._text(node.right)
            case ast.IfExp():
                return self._text(node.orelse)
            case ast.Name() if node.id in self._constants and self._is_text(self._constants[node.id]):
                return self._text(self._constants[node.id])
            case ast.Call(func=ast.Name()) if node.func.id in self._functions:
                return self._called(node, self._functions[node.func.id])
        return f"<{_named(node)}>"

    def _called(self, call: ast.Call, function: ast.FunctionDef) -> str:
        """Return the text that a function of this file returns if that is all it does, otherwise its name."""
        match function.body:
            case [ast.Return(value=ast.JoinedStr() as made)]:
                return self._text(made)
        return f"<{_named(call)}>"

    def _is_text(self, node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _named(node: ast.expr) -> str:  # noqa: PLR0911  # a case for each kind of expression
    """Return a word for the value of an expression."""
    match node:
        case ast.Name():
            return node.id.strip("_").replace("_", " ").lower()
        case ast.Attribute(attr="name", value=value) if _named(value) != "self":
            return _named(value)
        case ast.Attribute():
            return node.attr.strip("_").replace("_", " ").lower()
        case ast.Subscript():
            return _named(node.value)
        case ast.BinOp():
            return _named(node.left)
        case ast.Call(func=ast.Name(id="masked" | "printable" | "str" | "repr" | "type" | "len" | "int"), args=[first]):
            return _named(first)
        case ast.Call(func=ast.Attribute(attr="join"), args=[first]):
            return _named(first)
        case ast.Call(func=ast.Attribute(attr="strip" | "partition" | "replace" | "upper", value=value)):
            return _named(value)
        case ast.Call():
            return _named(node.func)
    return "..."


def main() -> int:
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
