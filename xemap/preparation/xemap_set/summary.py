"""What was prepared, beside the paper's Table 1."""

from __future__ import annotations

import os

from rich.console import Group
from rich.table import Table

from xemap.preparation.converters.report import REASONS
from xemap.preparation.xemap_set.prepare import Prepared
from xemap.preparation.xemap_set.sources import SPLITS, TABLE_1, TABLE_1_QUERIES

EXAMPLES_SHOWN = 2
IMAGES = ('images', 'paper', 'difference', 'queries')


def summary(prepared: Prepared) -> dict:
    """For programs, JSON-serializable.

    Returns:
        ``data_root``; ``files`` by split; ``test_sets`` by source; ``sources``: by name its ``row`` in Table 1,
        ``status`` (``done``, ``unchanged``, ``failed`` or ``absent``) and ``report`` (see
        :meth:`ConversionReport.as_dict`) or ``error``; ``table``: by row and split ``images``, ``queries``, ``paper``
        (images in Table 1) and ``difference``; ``total``: the same by split for all rows, with ``paper_queries`` and
        ``queries_difference``.
    """
    sources: dict[str, dict] = {}
    for name, source in prepared.sources.items():
        sources[name] = {'row': source.row, 'status': 'absent'}
        if name in prepared.failures:
            sources[name].update(status='failed', error=prepared.failures[name].error)
        elif name in prepared.states:
            state = prepared.states[name]
            sources[name].update(status='unchanged' if state['unchanged'] else 'done', report=state['report'])
        else:
            sources[name]['expected'] = str(prepared.absent[name])
    rows = dict.fromkeys([*TABLE_1, *(source.row for source in prepared.sources.values())])
    table = {row: {split: _cell(prepared, row, split) for split in SPLITS} for row in rows}
    total: dict[str, dict] = {}
    for split in SPLITS:
        total[split] = {key: sum(cells[split][key] for cells in table.values()) for key in IMAGES}
        total[split]['paper_queries'] = TABLE_1_QUERIES[split]
        total[split]['queries_difference'] = total[split]['queries'] - TABLE_1_QUERIES[split]
    files = {split: str(path) for split, path in prepared.files.items()}
    test_sets = {name: str(path) for name, path in prepared.test_sets.items()}
    return {
        'data_root': str(prepared.data_root),
        'files': files,
        'test_sets': test_sets,
        'sources': sources,
        'table': table,
        'total': total,
    }


def _cell(prepared: Prepared, row: str, split: str) -> dict[str, int]:
    images = queries = 0
    for name, state in prepared.states.items():
        if prepared.sources[name].row == row:
            made = state['report']['splits'].get(split, {'images': 0, 'queries': 0})
            images, queries = images + made['images'], queries + made['queries']
    paper = TABLE_1.get(row, {}).get(split, 0)
    return {'images': images, 'queries': queries, 'paper': paper, 'difference': images - paper}


def tables(prepared: Prepared) -> Group:
    """For people: counts beside Table 1, what was changed or left out, and the lines for a config."""
    content = summary(prepared)
    counts = Table(title='XeMap-Set beside Table 1 of the paper', show_lines=True)
    counts.add_column('row and sources')
    counts.add_column('split')
    for title in ('images', 'Table 1', 'difference', 'queries'):
        counts.add_column(title, justify='right', no_wrap=True)
    for row, cells in content['table'].items():
        members = [f'{name} {entry["status"]}' for name, entry in content['sources'].items() if entry['row'] == row]
        used = {split: cells[split] for split in SPLITS if cells[split]['images'] or cells[split]['paper']}
        counts.add_row('\n'.join([row, *(members or ['not asked for'])]), *_lines(used, IMAGES))
    counts.add_row('all', *_lines(content['total'], IMAGES))
    queries = Table(title='queries of all')
    queries.add_column('split')
    for title in ('queries', 'Table 1', 'difference'):
        queries.add_column(title, justify='right', no_wrap=True)
    queries.add_row(*_lines(content['total'], ('queries', 'paper_queries', 'queries_difference')))
    parts: list = [counts, queries]
    left_out = Table(title='what was changed or left out')
    left_out.add_column('source')
    left_out.add_column('count', justify='right')
    left_out.add_column('what')
    left_out.add_column('for example', overflow='fold')
    for name, entry in content['sources'].items():
        for reason, fact in entry.get('report', {'counts': {}})['counts'].items():
            examples = '\n'.join(fact['examples'][:EXAMPLES_SHOWN])
            left_out.add_row(name, f'{fact["count"]:,}', REASONS[reason], examples)
    if left_out.row_count:
        parts.append(left_out)
    return Group(*parts)


def _lines(cells: dict[str, dict], keys: tuple[str, ...]) -> list[str]:
    """Split, and the numbers of ``keys``, each as one text with a line for each split."""
    columns = [[f'{cell[key]:{"+" * ("difference" in key)},}' for cell in cells.values()] for key in keys]
    return ['\n'.join(column) for column in (list(cells), *columns)]


def config_lines(prepared: Prepared) -> list[str]:
    """What a config says to use the files: a line for the data root, and one for each file, relative to it. The root
    is relative to the current folder where that holds it."""
    root = os.path.relpath(prepared.data_root)
    root = str(prepared.data_root) if root.startswith('..') else root
    files = [*prepared.files.values(), *prepared.test_sets.values()]
    return [f"data_root='{root}/',", *(f"ann_file='{file.relative_to(prepared.data_root)}'," for file in files)]
