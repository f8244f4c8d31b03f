"""What MkDocs is told about the site besides mkdocs.yml: the order and the names of the folders of pages.

A page is found by its folder, so that nobody has to keep a list of them.
"""

from __future__ import annotations

from typing import Any

SECTIONS = {
    "tutorial": "Tutorial",
    "howto": "How to",
    "explanation": "Explanation",
    "reference": "Reference",
    "decisions": "Decisions",
}
"""Each folder of docs/, in the order of reading, and what it is called."""


def on_nav(nav: Any, config: Any, files: Any) -> Any:
    """Put the door first, then the folders in their order. MkDocs calls this."""
    names = [name.capitalize() for name in SECTIONS]

    def place(item: Any) -> int:
        return names.index(item.title) if item.is_section else -1

    nav.items.sort(key=place)
    for item in nav.items:
        if item.is_section:
            item.title = SECTIONS[item.title.lower()]
    return nav
