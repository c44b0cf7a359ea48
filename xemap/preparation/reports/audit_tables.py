"""An audit as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table

EXAMPLES = 3


def audit_tables(content: dict[str, Any]) -> Group:
    """Tables of what :meth:`~xemap.preparation.reports.audit.Audit.as_dict` returns.

    Args:
        content: that, and optionally ``written``, of :func:`~xemap.preparation.reports.audit.write_disjoint`.
    """
    splits = Table(title='splits')
    titles = ('split', 'images', 'images of other splits', 'queries', 'queries whose sentence another split has')
    for title in titles:
        splits.add_column(title, justify='left' if title == 'split' else 'right')
    for split, counts in content['splits'].items():
        seen = ', '.join(f'{number:,} of {other}' for other, number in counts['images_seen_in'].items() if number)
        images_seen = f'{counts["images_seen"]:,}' + (f' ({seen})' if seen else '')
        queries = (f'{counts[key]:,}' for key in ('queries', 'queries_seen'))
        splits.add_row(split, f'{counts["images"]:,}', images_seen, *queries)
    shared = Table(title='in several splits')
    shared.add_column('what')
    shared.add_column('number', justify='right')
    shared.add_column('for example', overflow='fold')
    for key, title, shown in (
        ('shared_images', 'images', lambda entry: f'{entry["image"]}: {", ".join(entry["splits"])}'),
        ('near_duplicates', 'near-duplicate images', lambda entry: f'{" and ".join(entry["images"])}'),
        ('shared_sentences', 'sentences', lambda entry: f'{entry["sentence"]}: {", ".join(entry["splits"])}'),
    ):
        examples = '\n'.join(shown(entry) for entry in content['lists'][key][:EXAMPLES])
        shared.add_row(title, f'{content[key]:,}', examples)
    parts: list = [splits, shared]
    if content['unreadable']:
        parts.append(f'{len(content["unreadable"])} images could not be read: {content["unreadable"][0]} …')
    for split, counts in content.get('written', {}).items():
        parts.append(f'written {split}: {counts["images"]:,} images, {counts["queries"]:,} queries')
    return Group(*parts)
