"""A program that renders an SVG picture: SVG on standard input, PNG on standard output.

It runs in a process of its own, because the renderer ends its process where it lacks memory or
where elements are nested too deep, and may need hours for a filter. Its argument is the longer side
of the picture in pixels. The exit status is 1 for what is no SVG picture.
"""

from __future__ import annotations

import sys

MEMORY = 1_000_000_000
"""Bytes of address space, where the system can limit it."""


def main(side: int) -> None:
    """Render standard input to standard output."""
    import io

    try:
        import resource
    except ImportError:  # on Windows
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import resvg_py
    from PIL import Image

    try:
        text = sys.stdin.buffer.read().decode("utf-8")
        natural = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=text)))).size
        wide = natural[0] >= natural[1]
        picture = resvg_py.svg_to_bytes(
            svg_string=text, width=side if wide else None, height=None if wide else side
        )
    except ValueError as error:
        print(str(error)[:200], file=sys.stderr)
        sys.exit(1)
    sys.stdout.buffer.write(bytes(picture))


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules may have names of other packages
    main(int(sys.argv[1]))
