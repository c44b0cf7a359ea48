"""What a conversion made, and what it left out and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from rich.console import Group
from rich.table import Table

from xemap.structures import ImageRecord

REASONS = {
    'polygons_clipped': 'polygons cut at the image border',
    'polygons_past_border': 'expressions with a polygon that runs past the image border, kept as drawn',
    'polygons_outside': 'polygons without area inside the image, dropped',
    'objects_too_small': 'objects without a pixel of area, dropped',
    'objects_ignored': 'objects marked to be ignored, dropped',
    'objects_difficult': 'objects marked as difficult, kept',
    'objects_cut_off': 'objects of which too little lies in a crop, dropped there',
    'lines_skipped': 'lines that describe no object, skipped',
    'queries_duplicated': 'queries that repeat the words for the same object, dropped',
    'queries_of_test': 'queries of test splits, left out',
    'queries_of_val_images': 'training queries of images that another split list validates on, left out',
    'crowds': 'crowd annotations, taken as plural of unknown number',
    'categories_dropped': 'objects or masks of a category that --map drops',
    'queries_too_small': 'categories that cover less of an image than the least share (--min-area), dropped',
    'pixels_ignored': 'mask pixels of ignored classes',
    'pixels_between': 'pixels of binary masks that are neither 0 nor 255, part of the region above 50',
    'masks_resized': 'masks of another size than their image, resized to it',
    'scenes_in_two_splits': 'scenes with images in several splits, kept',
    'pixels_nearest': 'mask pixels of unknown color, given the nearest class',
    'images_without_queries': 'images without any query, left out',
    'images_in_no_split': 'images that no split list names, left out',
    'images_not_annotated': 'images in the folder that the annotations do not name',
    'images_duplicated': 'images with the stem or id of another, left out',
    'annotations_without_image': 'annotations whose image is not there',
    'labels_unknown': 'masks or objects with a label that the source does not define',
    'lists_empty': 'splits, lists or folders without an entry',
    'bad_annotations': 'bad annotations, skipped',
    'bad_images': 'bad images, masks or pairs, skipped',
}
"""Everything a converter may change or leave out: the key in the JSON summary, and its meaning."""

WHY_EMPTY = ('lists_empty', 'annotations_without_image', 'images_not_annotated', 'bad_images', 'bad_annotations')
"""Reasons for which a source may come out without any image, the likeliest first."""

EXAMPLES_KEPT = 20
EXAMPLES_SHOWN = 3


class ConversionReport:
    """Counts of a conversion: what was written for each split, and everything that was not.

    Args:
        source: name of the data set.
        published: queries by split that its publishers count; empty = not known.
    """

    def __init__(self, source: str, published: Mapping[str, int] | None = None) -> None:
        self.source = source
        self.published = dict(published or {})
        self.images: Counter[str] = Counter()
        self.queries: dict[str, Counter[str]] = defaultdict(Counter)
        self.counts: Counter[str] = Counter()
        self.files: dict[str, str] = {}
        self.other_files: list[str] = []
        self._examples: dict[str, list[str]] = defaultdict(list)

    def count(self, reason: str, where: str, number: int = 1) -> None:
        """Record that something was changed or left out.

        Args:
            reason: a key of :data:`REASONS`.
            where: file, line or object, so that a person can look at it; the first few are kept.
            number: how many (objects, pixels, …).
        """
        if reason not in REASONS:
            raise KeyError(f'{reason!r} is no reason of the conversion report; add it to REASONS with its meaning')
        self.counts[reason] += number
        if len(self._examples[reason]) < EXAMPLES_KEPT:
            self._examples[reason].append(where)

    def why_empty(self) -> str:
        """The first thing that may explain why there is no image; empty = none."""
        examples = (self._examples[reason][0] for reason in WHY_EMPTY if self.counts[reason])
        return next(examples, '')

    def written(self, split: str, record: ImageRecord) -> None:
        """Record an image that goes into ``split``."""
        self.images[split] += 1
        self.queries[split].update(query.category or '(none)' for query in record.queries)

    def as_dict(self) -> dict:
        """For programs: JSON-serializable, keys as in :data:`REASONS`."""
        return {
            'source': self.source,
            'splits': {
                split: {
                    'file': self.files.get(split),
                    'images': self.images[split],
                    'queries': sum(self.queries[split].values()),
                    'published': self.published.get(split),
                    'categories': dict(sorted(self.queries[split].items())),
                }
                for split in self.images
            },
            'counts': {
                reason: {'count': number, 'meaning': REASONS[reason], 'examples': self._examples[reason]}
                for reason, number in self.counts.items()
            },
            'other_files': self.other_files,
        }

    def tables(self) -> Group:
        """For people: one table of what was written, one of what was changed or left out."""
        splits = list(self.images)
        made = Table(title=f'{self.source}: what was written')
        made.add_column('')
        for split in splits:
            made.add_column(split, justify='right')
        made.add_row('images', *(str(self.images[split]) for split in splits))
        made.add_row('queries', *(str(sum(self.queries[split].values())) for split in splits))
        if self.published:
            made.add_row('queries published', *(str(self.published.get(split, '')) for split in splits))
        made.add_section()
        for category in sorted(set().union(*(self.queries[split] for split in splits))):
            made.add_row(category, *(str(self.queries[split][category]) for split in splits))
        parts: list = [made]
        if self.counts:
            left_out = Table(title=f'{self.source}: what was changed or left out')
            left_out.add_column('count', justify='right')
            left_out.add_column('what')
            left_out.add_column('for example', overflow='fold')
            for reason, number in self.counts.items():
                examples = '\n'.join(self._examples[reason][:EXAMPLES_SHOWN])
                left_out.add_row(f'{number:,}', REASONS[reason], examples)
            parts.append(left_out)
        parts += [f'{split}: {file}' for split, file in self.files.items()]
        if self.other_files:
            parts.append(f'not touched: {", ".join(self.other_files)} (delete what an earlier split left)')
        return Group(*parts)
