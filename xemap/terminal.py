"""What tools print for people, with names and texts of users as they are."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import TextColumn
from rich.text import Text

from xemap.cli import printable


class PlainConsole(Console):
    """A console that takes texts as they are, in cells and titles of tables too.

    ``[red]`` is no markup, ``:car:`` no picture, numbers get no color, and control characters, by which a file name
    could steer the terminal, stand as escapes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str('\n'.join(map(printable, text.split('\n'))), **options)


def description_column() -> TextColumn:
    """The column of a progress bar that names the task, as it is."""
    return TextColumn('{task.description}', markup=False)
