"""Overlap scores from sets of pixels and exact fractions: slow, and written from the definitions alone."""

from __future__ import annotations

from fractions import Fraction


def scores(pairs, strict=True, empty=1) -> dict[str, float]:
    """From (intersection, union) of each query, whole numbers or fractions."""
    pairs = [(Fraction(both), Fraction(either)) for both, either in pairs]
    ious = [both / either if either else Fraction(empty) for both, either in pairs]
    total = sum(either for _, either in pairs)
    result = {
        'sums': sum(both for both, _ in pairs) / total if total else Fraction(empty),
        'mean': sum(ious) / len(ious),
    }
    for tenths in (5, 6, 7, 8, 9):
        limit = Fraction(tenths, 10)
        hits = [iou > limit if strict else iou >= limit for iou in ious]
        result[f'pr@0.{tenths}'] = Fraction(sum(hits), len(hits))
    return {name: float(value) for name, value in result.items()}


def mask_areas(prediction, target) -> tuple[int, int]:
    """Counts of two masks, pixel by pixel."""
    a, b = (
        {(y, x) for y, row in enumerate(mask) for x, value in enumerate(row) if value} for mask in (prediction, target)
    )
    return len(a & b), len(a | b)


def box_areas(a, b) -> tuple[Fraction, Fraction]:
    """Areas of two boxes x0, y0, x1, y1, exact."""
    a, b = [Fraction(v) for v in a], [Fraction(v) for v in b]

    def area(box):
        return max(box[2] - box[0], Fraction(0)) * max(box[3] - box[1], Fraction(0))

    both = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    return both, area(a) + area(b) - both


def legacy_box(box, height, width) -> list[Fraction]:
    """A target box through the letterboxed input of 640 pixels, truncated there."""
    ratio = Fraction(640, max(height, width))
    border = [Fraction(640 - round(side * ratio), 2) for side in (width, height)]
    result = []
    for i, value in enumerate(box):
        pixel = int(Fraction(value) * ratio + border[i % 2])  # int() truncates
        result.append((min(max(pixel, 0), 639) - border[i % 2]) / ratio)
    return result
