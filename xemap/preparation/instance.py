"""What converters read from labels and expressions are made of: annotated objects."""

from __future__ import annotations

from dataclasses import dataclass

from xemap.structures import Region


@dataclass(frozen=True)
class Instance:
    """One annotated object, or all regions of a class in a mask.

    Args:
        category: class name as the source gives it.
        region: where it lies, inside the image.
        count: number of objects it stands for; None = several, number unknown.
    """

    category: str
    region: Region
    count: int | None = 1
