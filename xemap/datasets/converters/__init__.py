"""From other formats to annotation files: one source a file, all on the skeleton of ``base``."""

from xemap.datasets.converters.base import Converter, Instance, Item
from xemap.datasets.converters.boxes_csv import BoxesCsvConverter
from xemap.datasets.converters.class_table import ClassTable
from xemap.datasets.converters.coco import CocoConverter
from xemap.datasets.converters.color_masks import ColorMasksConverter
from xemap.datasets.converters.convert import convert
from xemap.datasets.converters.phrases import PhraseTable
from xemap.datasets.converters.report import ConversionReport
from xemap.datasets.converters.splits import SplitRule

__all__ = [
    'BoxesCsvConverter',
    'ClassTable',
    'CocoConverter',
    'ColorMasksConverter',
    'ConversionReport',
    'Converter',
    'Instance',
    'Item',
    'PhraseTable',
    'SplitRule',
    'convert',
]
