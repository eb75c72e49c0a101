"""Every small change that cosmic-ray knows, and every statement or case left out, one at a time; nothing on disk is
touched.

Left out is what says nothing about the tests: changes inside of annotations, which nobody evaluates; ``is`` against
``==``, which for enum members and None are one; an order of what has none (``is`` to ``<``); and of the twelve others
that an arithmetic or bit operator could be, all but its counterpart: on sets and times they only raise TypeError, which
any test notices and which would flatter the score.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[2]
COUNTERPARTS = frozenset(
    f"core/ReplaceBinaryOperator_{pair}"
    for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "BitOr_BitAnd", "BitAnd_BitOr", "LShift_RShift")
)
IDENTITY = frozenset(f"core/ReplaceComparisonOperator_{pair}" for pair in ("Is_IsNot", "IsNot_Is"))


@dataclass(frozen=True, order=True)
class Mutant:
    module: str
    line: int
    column: int
    operator: str
    old: str  # the line, stripped, before ...
    new: str  # ... and after; several lines, if that is what changed
    text: str  # the whole module


def mutants_of(module: str, path: Path) -> Iterator[Mutant]:
    """All that differ, in the order of the text."""
    source = path.read_text(encoding="utf-8")
    yield from sorted({*_changed(module, source), *_left_out(module, source)})


def _left_out(module: str, source: str) -> Iterator[Mutant]:
    """What a function does or answers, what it does only if, and the cases that it tells apart. Not what it gives a
    name: whoever misses that only raises NameError."""
    lines = source.splitlines(keepends=True)
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    for node in (n for function in functions for n in ast.walk(function)):
        match node:
            case ast.Expr(value=ast.Constant()):
                continue  # a docstring
            case ast.Expr() | ast.AugAssign() | ast.Return() | ast.If(orelse=[]):
                begin, end, instead = node.lineno, node.end_lineno or 0, f"{' ' * node.col_offset}pass\n"
            case ast.match_case(pattern=pattern, body=[*_, last]):
                begin, end, instead = pattern.lineno, last.end_lineno or 0, ""
            case _:
                continue
        if not lines[begin - 1].lstrip().startswith("elif "):
            text = "".join([*lines[: begin - 1], instead, *lines[end:]])
            yield Mutant(module, begin, 0, "LeaveOut", *_difference(source, text), text)


def _changed(module: str, source: str) -> Iterator[Mutant]:
    quiet = _annotations(source)
    nodes = list(ast_nodes(get_ast(source)))
    marks = {n.start_pos for n in nodes if n.type == "operator" and n.parent.type in ("parameters", "param")}
    for name in operator_names():
        if not _telling(name):
            continue
        operator = get_operator(name)
        if operator.arguments():
            continue  # they want to be told which variable
        for occurrence, (line, column) in enumerate(_positions(nodes, operator())):
            if (line, column) in marks or any(begin <= (line, column) < end for begin, end in quiet):
                continue
            text = mutate_code(source, operator(), occurrence)
            old, new = _difference(source, text)
            yield Mutant(module, line, column, name.removeprefix("core/"), old, new, text)


def _telling(operator: str) -> bool:
    if operator.startswith("core/ReplaceBinaryOperator_"):
        return operator in COUNTERPARTS
    if operator.startswith(("core/ReplaceComparisonOperator_Is_", "core/ReplaceComparisonOperator_IsNot_")):
        return operator in IDENTITY
    return not operator.endswith(("_Is", "_IsNot"))  # identity of what is only equal


def _positions(nodes: Sequence[Any], operator: Any) -> list[tuple[int, int]]:
    return [start for node in nodes for start, _ in operator.mutation_positions(node)]


def _difference(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, without their indentation; blank ones apart."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return tuple("\n".join(line.strip() for line in lines if line.strip()) for lines in (old, new))


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AnnAssign(annotation=annotation):
                found.append(annotation)
            case ast.arg(annotation=ast.expr() as annotation):
                found.append(annotation)
            case ast.FunctionDef(returns=ast.expr() as returns):
                found.append(returns)
            case _:
                pass
    return [((e.lineno, e.col_offset), (e.end_lineno or 0, e.end_col_offset or 0)) for e in found]
