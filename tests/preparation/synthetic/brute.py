"""What satisfies an expression, worked out from pixel masks alone: no outline geometry, no shared code.

Thresholds lie in the middle of the documented dead bands. No object of an emitted query may lie in a
dead band, so this must give exactly the same referents, although masks measure to a pixel only.
"""

from __future__ import annotations

import cv2
import numpy as np


class PixelWorld:
    def __init__(self, objects, size):
        self.objects, (self.height, self.width) = objects, size
        self.side = (self.height * self.width) ** 0.5
        self.masks = [self._mask(obj) for obj in objects]
        self.away = [
            cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in self.masks
        ]

    def _mask(self, obj):
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
        return mask.astype(bool)

    def center(self, i):
        y, x = np.nonzero(self.masks[i])
        return np.array([x.mean() / self.width, y.mean() / self.height])

    def gap(self, i, j):
        return self.away[j][self.masks[i]].min() / self.side

    def ray(self, i, j):
        """From the centre of i to the nearest pixel of j, in image sides."""
        y, x = np.nonzero(self.masks[j])
        cx, cy = self.center(i) * (self.width, self.height)
        nearest = np.argmin((x - cx) ** 2 + (y - cy) ** 2)
        return np.array([x[nearest] - cx, y[nearest] - cy]) / self.side

    def referents(self, expression):
        found = [i for i, obj in enumerate(self.objects) if obj.category == expression.category]
        if expression.attribute:
            name, value = expression.attribute
            if name == 'size':
                pick = max if value == 'large' else min
                found = [pick(found, key=lambda i: self.masks[i].sum())]
            else:
                found = [i for i in found if self.objects[i].attributes[name] == value]
        if expression.position:
            found = self.placed(found, expression.position)
        if expression.relation:
            anchors = [self.referents(anchor) for anchor in expression.anchors]
            found = self.related(found, expression.relation, anchors)
        return tuple(sorted(found))

    def placed(self, found, position):
        extreme = {
            'leftmost': lambda c: c[0], 'rightmost': lambda c: -c[0],
            'topmost': lambda c: c[1], 'bottommost': lambda c: -c[1],
        }  # fmt: skip
        if position in extreme:
            return [min(found, key=lambda i: extreme[position](self.center(i)))]
        if position == 'center':
            return [i for i in found if np.abs(self.center(i) - 0.5).max() < 0.19]
        tests = {
            'left': lambda c: c[0] < 0.44, 'right': lambda c: c[0] > 0.56,
            'top': lambda c: c[1] < 0.44, 'bottom': lambda c: c[1] > 0.56,
        }  # fmt: skip
        return [i for i in found if all(tests[word](self.center(i)) for word in position.split())]

    def related(self, found, relation, anchors):
        if relation == 'next to':
            return [i for i in found if min(self.gap(i, j) for j in anchors[0]) < 0.0725]
        if relation in ('closest to', 'farthest from'):
            pick = min if relation == 'closest to' else max
            return [pick(found, key=lambda i: min(self.gap(i, j) for j in anchors[0]))]
        if relation == 'between':
            (a,), (b,) = anchors
            return [i for i in found if self.lies_between(i, a, b)]
        axis = 0 if relation in ('left of', 'right of') else 1
        sign = 1 if relation in ('left of', 'above') else -1
        ((anchor,),) = anchors
        offsets = {i: sign * (self.center(anchor) - self.center(i)) for i in found}
        return [i for i, o in offsets.items() if o[axis] > 0 and abs(o[1 - axis]) / o[axis] < 0.85]

    def lies_between(self, i, a, b):
        first, second = self.ray(i, a), self.ray(i, b)
        lengths = np.hypot(*first), np.hypot(*second)
        cosine = first @ second / (lengths[0] * lengths[1] + 1e-9)
        return max(lengths) < 0.425 and np.degrees(np.arccos(np.clip(cosine, -1, 1))) > 130
