"""Public data sets in their published folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Converter, Instance, Item
from xemap.preparation.converters.geometry import region_area
from xemap.preparation.converters.images import IMAGE_SUFFIXES
from xemap.structures import Query


class SourceConverter(Converter):
    """A public data set whose layout, splits and pitfalls are known.

    Items carry the split that the source publishes. What is wrong with one image or object goes through
    :meth:`~xemap.preparation.converters.Converter.bad`; a file of another make than the documented one
    raises :class:`~xemap.errors.LayoutError` with its name and line.

    Args:
        data_root: folder that image paths in the annotation file are relative to.
        folder: where the source lies, relative to the data root; None = :attr:`default_folder`.
        options: of :class:`~xemap.preparation.converters.Converter`.

    Raises:
        DataError: the folder is missing.
    """

    name: ClassVar[str]
    """Of the source, in annotation files and on the command line."""
    default_folder: ClassVar[str]
    """Where the source is expected below the data root."""

    def __init__(self, data_root: str | Path, folder: str | Path | None = None, **options: Any) -> None:
        super().__init__(data_root, **{'source': self.name, **options})
        self.folder = self.data_root / (folder or self.default_folder)
        if not self.folder.is_dir():
            raise DataError(f'{self.name}: folder {self.folder} does not exist; give the folder that holds the source')

    def files_by_stem(self, folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, Path]:
        """Files in a folder and below it, by stem, in the order of their paths.

        Raises:
            DataError: no such file is there, or two have one stem, and not ``skip_bad``.
        """
        found: dict[str, Path] = {}
        for path in sorted(folder.rglob('*')):
            if path.suffix.lower() not in suffixes or not path.is_file():
                continue
            first = found.setdefault(path.stem, path)
            if first is not path:
                error = DataError(f'{first} and {path} have the same stem; keep one of them')
                self.bad(error, 'images_duplicated')
        if not found:
            error = DataError(f'{self.name}: {folder} is missing or holds no {"/".join(suffixes)}; copy it there')
            self.bad(error, 'lists_empty')
        return found

    def paired_files(self, images: Path, annotations: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, Path]]:
        """Image and annotation file of every stem, in the order of the images' paths.

        Args:
            images: folder of the images.
            annotations: folder of the annotation files.
            suffixes: of the annotation files.

        Raises:
            DataError: one of a pair is missing, or see :meth:`files_by_stem`; and not ``skip_bad``.
        """
        image_of, annotation_of = self.files_by_stem(images), self.files_by_stem(annotations, suffixes)
        for stem, path in annotation_of.items():
            if stem not in image_of:
                self.bad(DataError(f'{path} has no image {stem!r} in {images}; copy it'), 'annotations_without_image')
        for stem, path in image_of.items():
            if stem not in annotation_of:
                self.bad(DataError(f'{path} has no annotation in {annotations}; copy it'), 'images_not_annotated')
        return [(path, annotation_of[stem]) for stem, path in image_of.items() if stem in annotation_of]

    def expression(self, text: str, instance: Instance, item: Item, size: tuple[int, int]) -> Query | None:
        """A query in the source's own words for one object, of unknown kind.

        Returns:
            None where ``category_map`` or ``min_area`` drops it.
        """
        self._categories_seen.add(instance.category)
        category = self.category_map.get(instance.category, instance.category)
        if not category:
            self.report.count('categories_dropped', f'{item.name}: {instance.category}')
            return None
        if self.min_area and region_area(instance.region, size) < self.min_area * size[0] * size[1]:
            self.report.count('queries_too_small', f'{item.name}: {text}')
            return None
        return Query(text, instance.region, category=category, referents=instance.count)


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not empty, each with its number and without space around it.

    Raises:
        DataError: the file is missing.
        LayoutError: it is no UTF-8 text.
    """
    try:
        text = file.read_text('utf-8-sig')
    except OSError as error:
        raise DataError(f'{file} cannot be read ({error.strerror}); copy it there') from error
    except UnicodeDecodeError as error:
        raise LayoutError(f'{file} is no UTF-8 text ({error}); copy it again') from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
