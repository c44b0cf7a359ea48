"""From other formats to annotation files: one source a file, all on the skeleton of ``base``."""

from xemap.datasets.converters.airslt import AirSltConverter
from xemap.datasets.converters.base import Converter, Instance, Item
from xemap.datasets.converters.boxes_csv import BoxesCsvConverter
from xemap.datasets.converters.class_table import ClassTable
from xemap.datasets.converters.coco import CocoConverter
from xemap.datasets.converters.color_masks import ColorMasksConverter
from xemap.datasets.converters.convert import convert
from xemap.datasets.converters.dior import DiorConverter
from xemap.datasets.converters.dior_rsvg import DiorRsvgConverter
from xemap.datasets.converters.dota import DotaConverter
from xemap.datasets.converters.inria import InriaConverter
from xemap.datasets.converters.isprs import PotsdamConverter, VaihingenConverter
from xemap.datasets.converters.loveda import LoveDAConverter
from xemap.datasets.converters.phrases import PhraseTable
from xemap.datasets.converters.polygons import CocoCaptionsConverter, LabelmeConverter, PolygonsConverter
from xemap.datasets.converters.refcoco import RefCocoConverter
from xemap.datasets.converters.report import ConversionReport
from xemap.datasets.converters.source import SourceConverter
from xemap.datasets.converters.splits import SplitRule
from xemap.datasets.converters.visdrone import VisDroneConverter

__all__ = [
    'AirSltConverter',
    'BoxesCsvConverter',
    'ClassTable',
    'CocoCaptionsConverter',
    'CocoConverter',
    'ColorMasksConverter',
    'ConversionReport',
    'Converter',
    'DiorConverter',
    'DiorRsvgConverter',
    'DotaConverter',
    'InriaConverter',
    'Instance',
    'Item',
    'LabelmeConverter',
    'LoveDAConverter',
    'PhraseTable',
    'PolygonsConverter',
    'PotsdamConverter',
    'RefCocoConverter',
    'SourceConverter',
    'SplitRule',
    'VaihingenConverter',
    'VisDroneConverter',
    'convert',
]
