"""Words for categories, attributes, places and relations.

A noun says what it names without overlapping with another category: "field" alone could be farmland or
a football field, so it is never used alone. ``{n}`` is the noun.
"""

from __future__ import annotations

from collections.abc import Mapping

NOUNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    'buildings': (
        ('buildings', 'building cluster', 'group of buildings', 'cluster of buildings', 'building complex'),
        ('buildings', 'building clusters', 'groups of buildings'),
    ),
    'parking': (('parking lot', 'car park', 'parking area'), ('parking lots', 'car parks', 'parking areas')),
    'track': (
        ('running track', 'athletics track', 'sports ground with a running track', 'track and field ground'),
        ('running tracks', 'athletics tracks'),
    ),
    'football': (
        ('football field', 'soccer field', 'football pitch'),
        ('football fields', 'soccer fields', 'football pitches'),
    ),
    'tennis': (('tennis courts', 'group of tennis courts'), ('tennis courts', 'groups of tennis courts')),
    'tanks': (
        ('storage tanks', 'group of storage tanks', 'oil tanks', 'tank farm'),
        ('storage tanks', 'groups of storage tanks', 'oil tanks'),
    ),
    'solar': (
        ('solar farm', 'solar panels', 'solar power plant'),
        ('solar farms', 'solar panels', 'solar power plants'),
    ),
    'apron': (
        ('aircraft apron', 'apron with aircraft', 'parked aircraft', 'parked airplanes'),
        ('aircraft aprons', 'aprons with aircraft', 'parked aircraft', 'parked airplanes'),
    ),
    'runway': (('runway', 'airport runway'), ('runways', 'airport runways')),
    'road': (('road', 'street'), ('roads', 'streets')),
    'crossroads': (('crossroads', 'road intersection', 'crossing roads'), ('crossroads', 'road intersections')),
    'river': (('river',), ('rivers',)),
    'sea': (('sea', 'sea water', 'ocean'), ('seas',)),
    'lake': (('lake', 'pond'), ('lakes', 'ponds')),
    'forest': (('forest', 'woodland', 'patch of forest', 'woods'), ('forests', 'patches of forest', 'woods')),
    'farmland': (
        ('farmland', 'crop field', 'cropland', 'piece of farmland'),
        ('crop fields', 'pieces of farmland', 'farm fields'),
    ),
    'ship': (('ship', 'cargo ship', 'vessel'), ('ships', 'cargo ships', 'vessels')),
}
"""Category to its names for one object and for several."""

SHORES: Mapping[str, tuple[str, ...]] = {'sea': ('coast', 'sea', 'shore'), 'river': ('river', 'river bank', 'river')}
"""Further names of water that something lies beside."""

ATTRIBUTES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ('roof', 'red'): ('red-roofed {n}', '{n} with red roofs', 'red {n}'),
    ('roof', 'grey'): ('gray-roofed {n}', '{n} with gray roofs', '{n} with grey roofs'),
    ('roof', 'white'): ('white-roofed {n}', '{n} with white roofs', 'white {n}'),
    ('roof', 'blue'): ('blue-roofed {n}', '{n} with blue roofs', 'blue {n}'),
    ('fill', 'full'): ('full {n}', '{n} full of cars', 'crowded {n}', '{n} with many cars'),
    ('fill', 'empty'): ('empty {n}', '{n} without cars', 'vacant {n}'),
    ('surface', 'blue'): ('blue {n}', '{n} with a blue surface'),
    ('surface', 'green'): ('green {n}', '{n} with a green surface'),
    ('surface', 'orange'): ('orange {n}', '{n} with an orange surface'),
    ('paint', 'white'): ('white {n}', '{n} painted white'),
    ('paint', 'brown'): ('brown {n}', '{n} painted brown', 'rusty brown {n}'),
    ('crop', 'green'): ('green {n}', '{n} with green crops'),
    ('crop', 'yellow'): ('yellow {n}', '{n} with yellow crops'),
    ('crop', 'brown'): ('brown {n}', '{n} with bare brown soil', 'plowed brown {n}'),
    ('size', 'large'): ('large {n}', 'largest {n}', 'biggest {n}'),
    ('size', 'small'): ('small {n}', 'smallest {n}'),
}
"""(Name, value) of an attribute to its wordings."""

PLACES: Mapping[str, tuple[str, ...]] = {
    'left': ('{n} on the left', '{n} on the left side of the image', '{n} in the left part', 'left {n}'),
    'right': ('{n} on the right', '{n} on the right side of the image', '{n} in the right part', 'right {n}'),
    'top': ('{n} at the top', '{n} in the upper part', '{n} at the top of the image', 'upper {n}'),
    'bottom': ('{n} at the bottom', '{n} in the lower part', '{n} at the bottom of the image', 'lower {n}'),
    'top left': (
        '{n} in the top left corner',
        '{n} in the upper left',
        '{n} at the top left of the image',
        'top left {n}',
    ),
    'top right': (
        '{n} in the top right corner',
        '{n} in the upper right',
        '{n} at the top right of the image',
        'top right {n}',
    ),
    'bottom left': (
        '{n} in the bottom left corner',
        '{n} in the lower left',
        '{n} at the bottom left of the image',
        'bottom left {n}',
    ),
    'bottom right': (
        '{n} in the bottom right corner',
        '{n} in the lower right',
        '{n} at the bottom right of the image',
        'bottom right {n}',
    ),
    'center': ('{n} in the center', '{n} in the middle of the image', '{n} in the center of the image', 'central {n}'),
    'leftmost': ('leftmost {n}', '{n} farthest to the left'),
    'rightmost': ('rightmost {n}', '{n} farthest to the right'),
    'topmost': ('topmost {n}', '{n} closest to the top of the image', 'uppermost {n}'),
    'bottommost': ('bottommost {n}', '{n} closest to the bottom of the image', 'lowermost {n}'),
}
"""Position to its wordings; the last of a side or corner, and the first of an extreme, stand before the noun."""

RELATIONS: Mapping[str, tuple[str, ...]] = {
    'next to': ('{t} next to {a}', '{t} beside {a}', '{t} adjacent to {a}', '{t} right by {a}', '{t} near {a}'),
    'closest to': ('{t} closest to {a}', '{t} nearest to {a}', '{t} nearest {a}'),
    'farthest from': ('{t} farthest from {a}', '{t} farthest away from {a}', '{t} most distant from {a}'),
    'left of': ('{t} to the left of {a}', '{t} left of {a}', '{t} on the left of {a}'),
    'right of': ('{t} to the right of {a}', '{t} right of {a}', '{t} on the right of {a}'),
    'above': ('{t} above {a}', '{t} directly above {a}'),
    'below': ('{t} below {a}', '{t} directly below {a}'),
    'between': ('{t} between {a} and {b}', '{t} lying between {a} and {b}', '{t} located between {a} and {b}'),
}
"""Relation to its wordings: target t, anchors a and b."""
