"""Tables and lines hold what users wrote, and nothing of it steers the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Group
from rich.progress import Progress
from rich.table import Table

from xemap.terminal import PlainConsole, description_column

TEXTS = ['[/bold]', '[red]lake[/red]', ':car:', 'a\\[b]', '[', '湖 [x=1]']


@pytest.fixture
def console():
    return PlainConsole(file=io.StringIO(), width=200, force_terminal=True, color_system='truecolor')


@pytest.mark.parametrize('text', TEXTS)
def test_texts_are_printed_as_they_are(console, text):
    table = Table(f'column {text}', title=f'title {text}', caption=f'caption {text}')
    table.add_row(f'cell {text}')
    table.add_row('-' * 60)
    console.print(Group(table, f'line {text}'))
    with Progress(description_column(), console=console, transient=False) as bars:
        bars.add_task(f'task {text}')
    printed = console.file.getvalue()
    for place in ('column', 'title', 'caption', 'cell', 'line', 'task'):
        assert f'{place} {text}' in printed


def test_control_characters_stand_as_escapes(console):
    table = Table('a', title='t\x1b]0;x\x07')
    table.add_row('-' * 60)
    table.add_row('two\nlines\x1b[2J\r')
    console.print(table)
    printed = console.file.getvalue()
    assert r'two' in printed and r'lines\x1b[2J\r' in printed and r't\x1b]0;x\x07' in printed
    assert '\x1b]' not in printed and '\x1b[2J' not in printed and '\x07' not in printed
