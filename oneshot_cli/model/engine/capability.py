"""Which methods of which classes the engine may replace by faster code.

The engine does not call a part's methods where it has their gradient written out, or where it calls
several parts at once. That is right only for the methods that it was written for. So each is
declared with its class and the names of its methods, and a part is checked before it is replaced: a
subclass, or an object, that overrides one of these methods is computed by autograd, unless it is
declared itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


class Capability:
    """A property of some methods of a class, as that class defines or inherits them.

    `declare` enters a class, `holds` tells whether an object still has the declared methods.
    """

    def __init__(self) -> None:
        self._declared: dict[type, dict[str, Any]] = {}

    def declare(self, part: type, *methods: str) -> None:
        """Enter `part`: the property holds for its `methods` together, as they are now."""
        self._declared[part] = {name: getattr(part, name) for name in methods}

    def __call__(self, *methods: str) -> Callable[[C], C]:
        """`declare`, as a decorator of a class."""

        def declared(part: C) -> C:
            self.declare(part, *methods)
            return part

        return declared

    def declared_class(self, part: object) -> type | None:
        """The class that was declared with exactly the methods that `part` has, or None.

        Hooks change what calling a module computes, so a module with hooks has none.
        """
        if getattr(part, "_forward_hooks", None) or getattr(part, "_forward_pre_hooks", None):
            return None
        owner = next((each for each in type(part).__mro__ if each in self._declared), None)
        if owner is None:
            return None
        methods = self._declared[owner].items()
        same = (
            getattr(getattr(part, name), "__func__", None) is method for name, method in methods
        )
        return owner if all(same) else None

    def holds(self, part: object) -> bool:
        """Whether the property holds for `part`."""
        return self.declared_class(part) is not None


reads_jointly = Capability()
"""These methods use no weights and no buffers: readers with equal settings share one call."""
written_out = Capability()
"""The recurrence has the gradient of these methods written out."""
sums_writes = Capability()
"""A canvas is the sum of its writes, and its read-out the 1 x 1 convolution `output`."""
