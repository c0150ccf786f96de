"""In which order records go out: what is referred to first, and cycles together. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def in_order(references: Mapping[T, Iterable[T]]) -> list[list[T]]:
    """Return groups of records, each after those that it refers to; a cycle is one group.

    references: what each record refers to; what is no key itself is left out.
    (Tarjan 1972, without recursion, for chains can be as long as a run.)
    """
    index: dict[T, int] = {}
    low: dict[T, int] = {}
    stack: list[T] = []
    on_stack: set[T] = set()
    groups: list[list[T]] = []
    for root in references:
        if root in index:
            continue
        work = [(root, iter(references[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            target = next((one for one in targets if one in references), None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    groups.append(_popped(stack, on_stack, node))
            elif target not in index:
                index[target] = low[target] = len(index)
                stack.append(target)
                on_stack.add(target)
                work.append((target, iter(references[target])))
            elif target in on_stack:
                low[node] = min(low[node], index[target])
    return groups


def _popped(stack: list[T], on_stack: set[T], node: T) -> list[T]:
    group: list[T] = []
    while node not in group[-1:]:
        group.append(stack.pop())
    on_stack.difference_update(group)
    return group[::-1]
