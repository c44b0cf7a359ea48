"""Which class a mask's color or number means."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from xemap.errors import DataError

_KEYS = ('color', 'id', 'name', 'ignore')
_YES, _NO = {'1', 'true', 'yes'}, {'', '0', 'false', 'no'}
_UNKNOWN = -1


class LabelError(DataError):
    """A mask with a color or number that its class table does not have."""


class ClassTable:
    """Classes of a segmentation mask, by RGB color or by number.

    Given for a public source, or read from JSON, a list of ``{"color": "#3C1098", "name": "building"}``,
    or from CSV with the same names in its header line. ``id`` in place of ``color`` is for masks that
    hold class numbers. A class with ``ignore`` makes no query and needs no name. Several colors may
    share a name.

    Args:
        path: ``*.json`` or ``*.csv``; with ``classes``, the name of the source instead.
        classes: name by id or color, such as ``{0: None, 2: 'building'}`` or ``{'#0000FF': 'building'}``;
            None = ignore.

    Raises:
        DataError: the file is missing or of another make, or gives a color or id twice.
    """

    def __init__(self, path: str | Path, classes: Mapping[int, str | None] | Mapping[str, str | None] | None = None):
        self.path = Path(path)
        self._editable = classes is None
        self.names: list[str] = []
        self.ignored: list[bool] = []
        self.values: list[int] = []
        entries = _read(self.path) if classes is None else _entries(str(path), classes)
        self.by_color = bool(entries) and bool(entries[0][1].get('color'))
        for where, entry in entries:
            self._add(where, entry)
        if not self.values:
            raise DataError(f'class table {self.path} is empty; give a color or id and a name for every class')
        self._lookup = np.full(1 << 24 if self.by_color else 1 << 16, _UNKNOWN, np.int16)
        self._lookup[self.values] = np.arange(len(self.values))

    def _add(self, where: str, entry: dict[str, str]) -> None:
        unknown = [key for key in entry if key not in _KEYS]
        if unknown:
            raise DataError(f'{where} has unknown key {unknown[0]!r}; known are {", ".join(_KEYS)}')
        if bool(entry.get('color')) == bool(entry.get('id')) or bool(entry.get('color')) != self.by_color:
            raise DataError(f'{where} must have a color or an id, the same for all classes')
        text = entry['color' if self.by_color else 'id']
        if self.by_color:
            if not re.fullmatch(r'#?[0-9a-fA-F]{6}', text):
                raise DataError(f'{where} has color {text!r}; write it as #3C1098')
            value = int(text.lstrip('#'), 16)
        else:
            if not re.fullmatch(r'\d{1,5}', text) or int(text) > 65535:
                raise DataError(f'{where} has id {text!r}; give a number from 0 to 65535')
            value = int(text)
        if value in self.values:
            raise DataError(f'{where} has {self.label(value)} a second time; keep one')
        flag = entry.get('ignore', '').lower()
        if flag not in _YES | _NO:
            raise DataError(f'{where} has ignore {flag!r}; write true or false')
        ignore = flag in _YES
        if not entry.get('name') and not ignore:
            raise DataError(f'{where} has no name; give one, or set ignore')
        self.values.append(value)
        self.names.append(entry.get('name') or 'ignored')
        self.ignored.append(ignore)

    def label(self, value: int) -> str:
        """A mask value as the table writes it: ``#3C1098`` or ``id 3``."""
        return f'#{value:06X}' if self.by_color else f'id {value}'

    def mask_values(self, mask: Image.Image, where: str) -> np.ndarray:
        """What a mask holds at every pixel, to be looked up in the table.

        Args:
            mask: RGB, RGBA, gray or indexed. With colors, an index is taken by its palette; with
                ids, it is the id itself.
            where: the file, for errors.

        Returns:
            (H, W) integers: 0xRRGGBB, or the id.

        Raises:
            LabelError: the mask holds colors where the table has ids, or the other way round.
        """
        if self.by_color:
            if mask.mode.startswith(('I', 'F')):
                raise self._other_kind(f'{where} has {mask.mode} pixels, no colors', 'ids, not colors')
            rgb = np.asarray(mask.convert('RGB'), dtype=np.int32)
            return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
        values = np.asarray(mask)
        if values.ndim == 3:
            if (values[..., :1] != values[..., 1:3]).any():
                raise self._other_kind(f'{where} has colors, the class table {self.path} has ids', 'colors')
            values = values[..., 0]
        values = values.astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise LabelError(f'{where} has values from {values.min()} to {values.max()}; ids lie between 0 and 65535')
        return values

    def classes(self, values: np.ndarray, where: str, tolerance: float = 0.0) -> tuple[np.ndarray, int]:
        """Index into ``names`` at every pixel.

        Args:
            values: (H, W), from :meth:`mask_values`.
            where: the mask file, for errors.
            tolerance: largest distance in RGB (Euclidean, 0..255 per channel) at which an unknown
                color is taken for the nearest class; 0 = never.

        Returns:
            (H, W) int16, and the number of pixels whose color was not exactly a class's.

        Raises:
            LabelError: an unknown color or id remains.
        """
        classes = self._lookup[values]
        unknown = classes == _UNKNOWN
        if not unknown.any():
            return classes, 0
        unknown_values, inverse, counts = np.unique(values[unknown], return_inverse=True, return_counts=True)
        nearest = np.full(len(unknown_values), _UNKNOWN, np.int16)
        if self.by_color and tolerance > 0:
            offset = _rgb(unknown_values)[:, None] - _rgb(np.array(self.values))[None]
            distance = np.sqrt((offset**2).sum(-1))
            near = distance.min(1) <= tolerance
            nearest[near] = distance.argmin(1)[near]
        strange = nearest == _UNKNOWN
        if strange.any():
            worst = int(np.argmax(np.where(strange, counts, 0)))
            others = f' and {strange.sum() - 1} more unknown values' if strange.sum() > 1 else ''
            raise LabelError(
                f'{where} has {counts[worst]} pixels of unknown {self.label(int(unknown_values[worst]))}{others}; '
                f'{self._remedy(int(unknown_values[worst]))}'
            )
        classes[unknown] = nearest[inverse.reshape(-1)]
        return classes, int(unknown.sum())

    def _other_kind(self, what: str, expected: str) -> LabelError:
        return LabelError(f'{what}; {f"give it {expected}" if self._editable else self._remedy()}')

    def _remedy(self, value: int | None = None) -> str:
        if not self._editable:
            return f'{self.path} has {", ".join(map(self.label, self.values))}: copy the published file again'
        key, text = ('color', f'"#{value:06X}"') if self.by_color else ('id', str(value))
        hint = ', or pass --tolerance to take the nearest class' if self.by_color else ''
        return f'add {{"{key}": {text}, "name": …}} (or "ignore": true) to {self.path}{hint}'


def _rgb(values: np.ndarray) -> np.ndarray:
    """0xRRGGBB to (…, 3) float64."""
    return np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], -1).astype(np.float64)


def _entries(source: str, classes: Mapping[int, str | None] | Mapping[str, str | None]) -> list[tuple[str, dict]]:
    """As :func:`_read`."""
    return [
        (source, {'id' if isinstance(value, int) else 'color': str(value), 'name': name or '', 'ignore': str(not name)})
        for value, name in classes.items()
    ]


def _read(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Where each entry stands, and its values as text."""
    try:
        text = path.read_text('utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'class table {path} cannot be read ({error}); check --classes') from error
    if path.suffix.lower() == '.csv':
        reader = csv.DictReader(text.splitlines())
        try:
            rows = [(f'{path} line {reader.line_num}', row) for row in reader]
        except csv.Error as error:
            raise DataError(f'class table {path} is no CSV file ({error})') from error
        for where, row in rows:
            if None in row or None in row.values():
                raise DataError(f'{where} has another number of columns than the header line')
        return [(where, {key.strip(): value.strip() for key, value in row.items()}) for where, row in rows]
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f'class table {path} is neither *.csv nor JSON ({error})') from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DataError(f'class table {path} must be a list of {{"color": "#3C1098", "name": "building"}}')
    return [
        (f'{path} entry {number}', {key: '' if value is None else str(value) for key, value in entry.items()})
        for number, entry in enumerate(content, 1)
    ]
