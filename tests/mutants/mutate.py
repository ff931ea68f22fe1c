"""Every way a comparison can be wrong by one unit or by its sense, as source code.

A mutant is one comparison of one file, changed once: its sense inverted (`<` to `>=`, `is` to `is
not`), or its boundary shifted by one unit (`<` to `<=`). The rest of the file stays as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: operator -> what it may be mistaken for, and the name of the mistake
CHANGES: dict[type[ast.cmpop], tuple[tuple[type[ast.cmpop], str], ...]] = {
    ast.Lt: ((ast.GtE, "inverted"), (ast.LtE, "shifted")),
    ast.LtE: ((ast.Gt, "inverted"), (ast.Lt, "shifted")),
    ast.Gt: ((ast.LtE, "inverted"), (ast.GtE, "shifted")),
    ast.GtE: ((ast.Lt, "inverted"), (ast.Gt, "shifted")),
    ast.Eq: ((ast.NotEq, "inverted"),),
    ast.NotEq: ((ast.Eq, "inverted"),),
    ast.Is: ((ast.IsNot, "inverted"),),
    ast.IsNot: ((ast.Is, "inverted"),),
    ast.In: ((ast.NotIn, "inverted"),),
    ast.NotIn: ((ast.In, "inverted"),),
}


@dataclass(frozen=True)
class Mutant:
    """One changed comparison. `place` counts the operators of the file; `line` is for people.

    `text` is the file as it was when the mutants were made: it may be edited while they run.
    """

    file: Path
    text: str = field(repr=False, compare=False)
    place: int
    change: str
    line: int
    before: str
    after: str
    function: str

    @property
    def name(self) -> str:
        """Stable while other code moves: file, function and the comparison itself."""
        return f"{self.file.stem}.{self.function}: {self.before} -> {self.after}"


class _Walk(ast.NodeVisitor):
    """Collects each comparison operator with the function it stands in."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.Compare, int, str]] = []
        self._functions: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_Compare(self, node: ast.Compare) -> None:
        where = ".".join(self._functions) or "module"
        self.found += [(node, place, where) for place in range(len(node.ops))]
        self.generic_visit(node)


def _comparisons(tree: ast.Module) -> list[tuple[ast.Compare, int, str]]:
    walk = _Walk()
    walk.visit(tree)
    return walk.found


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All mutants of a file, in reading order."""
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for place, (node, op, function) in enumerate(_comparisons(tree)):
        before, kept = ast.unparse(node), node.ops[op]
        for operator, change in CHANGES[type(kept)]:
            node.ops[op] = operator()
            yield Mutant(
                file=file,
                text=source,
                place=place,
                change=change,
                line=node.lineno,
                before=before,
                after=ast.unparse(node),
                function=function,
            )
        node.ops[op] = kept


def source_of(mutant: Mutant) -> str:
    """The file's source with the mutant in it."""
    tree = ast.parse(mutant.text)
    node, op, _function = _comparisons(tree)[mutant.place]
    operator = next(new for new, change in CHANGES[type(node.ops[op])] if change == mutant.change)
    node.ops[op] = operator()
    return ast.unparse(tree)
