"""Running a converter: splits, progress, and files that appear only when all of them are complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from xemap.datasets.annotations import write_annotations
from xemap.errors import DataError
from xemap.files import replacing_together
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.report import ConversionReport
from xemap.preparation.converters.splits import SplitRule
from xemap.structures import ImageRecord
from xemap.terminal import PlainConsole, description_column


def convert(
    converter: Converter,
    out: str | Path,
    splits: SplitRule | None = None,
    show_progress: bool = False,
    on_image: Callable[[int, int], None] | None = None,
    on_complete: Callable[[], None] | None = None,
) -> ConversionReport:
    """Write ``<out>/<split>.arrow`` for every split.

    All files appear together at the end, each by one rename: a conversion that fails or is
    interrupted leaves what was there before.

    Args:
        converter: a converter that has not run yet.
        out: folder for the annotation files, made if needed.
        splits: which image goes where; None = where the source puts it, or everything into ``train``
            where the source has no splits.
        show_progress: draw a bar on stderr.
        on_image: called with the number of images done so far and of all to be done.
        on_complete: called when all files are complete, before the first gets its final name.

    Raises:
        DataError: the source is bad (see the converter), or a split comes out without a query. Where splits are
            the source's own and bad things are left out, such a split is as well, unless all are.
    """
    out, report = Path(out), converter.report
    items = converter.items()
    if not items:
        raise DataError(
            f'{report.source}: no image to convert; '
            f'{report.why_empty() or "check the folders and annotation files given"}'
        )
    published = splits is None and any(item.split for item in items)
    splits = splits or SplitRule()
    if published:  # by item, not by name: a source may have one image in several splits, with other queries in each
        placed = [item.split for item in items]
    else:
        split_of = splits.assign([item.name for item in items])
        placed = [split_of.get(item.name) for item in items]
    members: dict[str, list[Item]] = {}
    for item, split in zip(items, placed):
        if split is None:
            report.count('images_in_no_split', item.name)
        else:
            members.setdefault(split, []).append(item)
    names = list(members) if published else [*splits.files] or [splits.name, *splits.fractions]

    done, total = count(1), sum(map(len, members.values()))

    def tick() -> None:
        if on_image is not None:
            on_image(next(done), total)

    progress = Progress(
        description_column(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=PlainConsole(stderr=True),
        disable=not show_progress,
    )
    complete: list[str] = []
    with replacing_together(out, [f'{split}.arrow' for split in names]) as work, progress:
        for split in names:
            part = work / f'{split}.arrow'
            records = _records(converter, split, members.get(split, []), progress, tick)
            if write_annotations(part, records, _info(converter, split, splits))['queries']:
                complete.append(split)
                continue
            part.unlink()
            remedy = 'look at its annotations' if published else 'give other fractions, lists, --min-area or --map'
            number = len(members.get(split, []))
            error = DataError(f'{report.source}: split {split!r} has {number} images and no query; {remedy}')
            if not published or not complete and split == names[-1]:
                raise error
            converter.bad(error, 'lists_empty')
        converter.check_category_map()
        if on_complete is not None:
            on_complete()
    report.files |= {split: str(out / f'{split}.arrow') for split in complete}
    report.other_files = sorted(str(file) for file in out.glob('*.arrow') if file.stem not in complete)
    return report


def _records(
    converter: Converter, split: str, items: list[Item], progress: Progress, tick: Callable[[], None]
) -> Iterator[ImageRecord]:
    for item in progress.track(items, description=f'{converter.report.source} {split}'):
        record = converter.record(item)
        tick()
        if record is not None:
            converter.report.written(split, record)
            yield record


def _info(converter: Converter, split: str, splits: SplitRule) -> dict:
    """Facts that let a person repeat the conversion; no absolute paths, so that files can be compared."""
    return {
        'name': converter.report.source,
        'split': split,
        'converter': type(converter).__name__,
        'min_area': converter.min_area,
        'category_map': converter.category_map,
        'skip_bad': converter.skip_bad,
        'split_fractions': splits.fractions,
        'split_lists': {name: file.name for name, file in splits.files.items()},
        'group_regex': splits.group_regex,
        'split_seed': splits.seed,
        'text_seed': converter.phrases.seed,
        'wordings': converter.wordings,
        'expressions': converter.expressions.info() if converter.expressions else None,
        'templates': converter.phrases.path.name if converter.phrases.path else None,
    }
