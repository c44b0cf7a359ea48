"""Which image goes into which split."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from xemap.errors import ConfigError, DataError


@dataclass(frozen=True)
class SplitRule:
    """How images are divided. One of three ways, tried in this order:

    * ``files``: lists of image names, one per line, with or without folder and suffix, or with
      wildcards such as ``part_*t3``;
    * ``fractions``: by a hash of seed and image name, so that the same images give the same split
      on every machine, in whatever order they are found;
    * otherwise everything goes into ``name``.

    Args:
        name: split of everything, where neither fractions nor files are given; with fractions,
            the split of the rest.
        fractions: share of the images by split, such as ``{'val': 0.15, 'test': 0.15}``.
        files: list of image names by split.
        seed: another seed, another split.
        group_regex: images for which this pattern finds the same text (that of its first group, if
            it has one) stay together. Use it where images are neighboring tiles of one scene:
            divided at random, the test images would not be new to the model.

    Raises:
        ConfigError: fractions outside 0..1 or together 1 and more, a name that is no file name, or
            a pattern that is no regular expression.
    """

    name: str = 'train'
    fractions: dict[str, float] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    seed: int = 0
    group_regex: str | None = None

    def __post_init__(self) -> None:
        for split in (self.name, *self.fractions, *self.files):
            if not re.fullmatch(r'[\w-]+', split):
                raise ConfigError(f'split name {split!r}; use letters, digits, _ and -')
        if self.name in self.fractions:
            raise ConfigError(
                f'split {self.name!r} has a share, and is that of the rest; give the rest another --split'
            )
        if self.fractions and self.files:
            raise ConfigError('both split fractions and split files are given; choose one')
        if self.group_regex is not None and not self.fractions:
            raise ConfigError('--group-regex only acts on --val and --test fractions; give one of them')
        if any(not 0 < share < 1 for share in self.fractions.values()) or sum(self.fractions.values()) >= 1:
            raise ConfigError(f'split fractions {self.fractions}; each must lie between 0 and 1, all together below 1')
        if self.group_regex is not None:
            try:
                re.compile(self.group_regex)
            except re.error as error:
                raise ConfigError(f'--group-regex {self.group_regex!r} is no regular expression: {error}') from error

    def assign(self, names: list[str]) -> dict[str, str]:
        """Split of every image.

        Args:
            names: image paths relative to the data root, ``/`` as separator.

        Returns:
            Split by name, in the order of ``names``; images that no list names are missing.

        Raises:
            DataError: a list that is missing, names an image twice or one that is not there; a name
                in which ``group_regex`` finds nothing; too few groups for the fractions.
        """
        if self.files:
            return self._from_files(names)
        if self.fractions:
            return self._from_fractions(names)
        return dict.fromkeys(names, self.name)

    def _from_fractions(self, names: list[str]) -> dict[str, str]:
        groups: dict[str, list[str]] = defaultdict(list)
        for name in names:
            groups[self._group(name)].append(name)
        if len(groups) <= len(self.fractions):
            raise DataError(
                f'{len(names)} images in {len(groups)} groups cannot be divided into '
                f'{len(self.fractions) + 1} splits; give fewer splits or another --group-regex'
            )
        order = sorted(groups, key=lambda group: (_hash(self.seed, group), group))
        split_of: dict[str, str] = {}
        for rank, (split, share) in enumerate(self.fractions.items()):
            target, taken = share * len(names), 0
            kept_back = len(self.fractions) - rank  # at least one group for every split to come, and the rest
            # Whole groups, to the nearest number of images, and one at least.
            while len(order) > kept_back and (not taken or taken + len(groups[order[0]]) / 2 <= target):
                members = groups[order.pop(0)]
                taken += len(members)
                split_of.update(dict.fromkeys(members, split))
        return {name: split_of.get(name, self.name) for name in names}

    def _group(self, name: str) -> str:
        if self.group_regex is None:
            return name
        match = re.search(self.group_regex, name)
        if match is None:
            raise DataError(f'--group-regex {self.group_regex!r} finds nothing in the image name {name!r}; correct it')
        return match.group(1) if match.re.groups else match.group()

    def _from_files(self, names: list[str]) -> dict[str, str]:
        known: dict[str, set[str]] = defaultdict(set)
        for name in names:
            path = PurePosixPath(name)
            for form in {name, path.name, str(path.with_suffix('')), path.stem}:
                known[form].add(name)
        chosen: dict[str, str] = {}
        for split, file in self.files.items():
            for number, line in _lines(file):
                where = f'{file} line {number}: {line!r}'
                wildcard = any(mark in line for mark in '*?[')
                forms = fnmatch.filter(known, line) if wildcard else [line]
                matches = set().union(*(known.get(form, set()) for form in forms))
                if not matches or len(matches) > 1 and not wildcard:
                    places = ' and '.join(sorted(matches)[:2]) or 'no image of the data set'
                    raise DataError(f'{where} is {places}; give the path below the data root')
                for name in matches:
                    if name in chosen:
                        raise DataError(f'{where}: {name} is already in split {chosen[name]!r}; remove one')
                    chosen[name] = split
        return {name: chosen[name] for name in names if name in chosen}


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f'{seed}\n{name}'.encode()).digest()


def _lines(file: Path) -> list[tuple[int, str]]:
    try:
        text = Path(file).read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f'split list {file} cannot be read ({error}); give a text file, one image name a line'
        ) from error
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in numbered if line]
