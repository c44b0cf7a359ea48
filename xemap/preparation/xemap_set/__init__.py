"""XeMap-Set: the public sources of the paper as one training set."""

from xemap.preparation.xemap_set.prepare import Prepared, PrepareOptions, prepare
from xemap.preparation.xemap_set.sources import SOURCES, TABLE_1, Source

__all__ = ['SOURCES', 'TABLE_1', 'PrepareOptions', 'Prepared', 'Source', 'prepare']
