"""Looking at a data set: image, query, outline of its region and target map, as HTML pages or pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xemap.datasets.annotations import AnnotationFile
from xemap.datasets.selection import select_queries
from xemap.errors import ConfigError, DataError
from xemap.files import replacing
from xemap.visualization.contact_sheet import FOOT, card, head
from xemap.visualization.examples import Example, read_examples
from xemap.visualization.panel import query_panel, save_picture

THUMBNAIL, PICTURE = 256, 512
"""Pixels of the longer side of an image on a page, in a picture."""
FIRST_LOOK = 100
"""Images that are looked for before anything is written."""


def browse(
    ann_file: str | Path,
    data_root: str | Path,
    out_dir: str | Path,
    filters: dict[str, Any] | None = None,
    *,
    pictures: bool = False,
    per_page: int = 100,
    target_options: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write HTML pages, or a picture per query.

    Pages are ``OUT/page-001.html``…; each holds its pictures and works without a network or other files.
    Pictures are ``OUT/00012_q03_STEM.png``: row of the image, query, name of the image. Everything appears
    complete or not at all and replaces what an earlier call wrote under its name; later pages that an
    earlier, longer call left are removed.

    Args:
        ann_file: an annotation file.
        data_root: folder that its image paths are relative to.
        out_dir: folder to write to.
        filters: arguments of :func:`~xemap.datasets.selection.select_queries`.
        pictures: pictures in place of pages.
        per_page: queries per page.
        target_options: ``grids`` and ``sigma`` of the target maps, see
            :func:`~xemap.datasets.transforms.targets.target_options`; None = the defaults.
        progress: called with (queries read, queries in all).

    Returns:
        ``{'queries': …, 'images': …, 'files': [Path…], 'problems': [one message per image that cannot be read]}``

    Raises:
        ConfigError: a filter or number that does not fit, or no query does.
        DataError: the annotation file is broken, or none of the first images is below ``data_root``.
    """
    if per_page < 1:
        raise ConfigError(f'per_page={per_page}; give at least 1 query a page')
    annotations, out_dir = AnnotationFile(ann_file), Path(out_dir)
    filters = {name: value for name, value in (filters or {}).items() if value is not None}
    chosen = select_queries(annotations, **filters)
    images = annotations.image_column('image').take(
        np.unique(np.searchsorted(np.cumsum(annotations.query_counts()), chosen, side='right'))
    )
    first = [Path(data_root, image.as_py()) for image in images[:FIRST_LOOK]]
    if not any(path.is_file() for path in first):
        raise DataError(f'none of the first {len(first)} images exists, as {first[0]}; check the data root')
    examples = read_examples(annotations, Path(data_root), chosen, PICTURE if pictures else THUMBNAIL, target_options)
    problems: dict[int, str] = {}

    def watched() -> Iterator[Example]:
        for done, example in enumerate(examples, start=1):
            if example.problem:
                problems[example.row] = example.problem
            if progress:
                progress(done, len(chosen))
            yield example

    if pictures:
        files = _write_pictures(watched(), out_dir)
    else:
        title = f'{annotations.path.name}: {len(chosen):,} of {int(annotations.query_counts().sum()):,} queries'
        cut = len(chosen) == filters.get('limit')  # else neither limit nor seed made a difference
        shown = {name: value for name, value in filters.items() if cut or name not in ('limit', 'seed')}
        about = ', '.join(f'{name}: {value}' for name, value in shown.items())
        files = _write_pages(watched(), out_dir, len(chosen), per_page, title, about)
    return {'queries': len(chosen), 'images': len(images), 'files': files, 'problems': list(problems.values())}


def _write_pages(
    examples: Iterator[Example], out_dir: Path, total: int, per_page: int, title: str, about: str
) -> list[Path]:
    pages = [out_dir / f'page-{i + 1:03d}.html' for i in range(-(-total // per_page))]
    for i, path in enumerate(pages):
        with replacing(path) as part, part.open('w', encoding='utf-8') as file:
            file.write(head(title, about, i, [page.name for page in pages]))
            for _ in range(min(per_page, total - i * per_page)):
                file.write(card(next(examples)))
            file.write(FOOT)
    number = len(pages) + 1
    while (left := out_dir / f'page-{number:03d}.html').is_file():
        left.unlink()
        number += 1
    return pages


def _write_pictures(examples: Iterator[Example], out_dir: Path) -> list[Path]:
    files = []
    for example in examples:
        stem = re.sub(r'[^\w.-]', '_', Path(example.record.image).stem)[:50]
        path = out_dir / f'{example.row:05d}_q{example.query_id:02d}_{stem}.png'
        text = example.query.text if example.problem is None else f'{example.query.text} [{example.problem}]'
        panel = query_panel(example.image, text, None, example.target(), example.outlines(), max_side=PICTURE)
        save_picture(path, panel)
        files.append(path)
    return files
