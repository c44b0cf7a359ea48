"""From other formats to annotation files: one source per file, all on the skeleton of ``base``."""

from xemap.preparation.converters.airslt import AirSltConverter
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.boxes_csv import BoxesCsvConverter
from xemap.preparation.converters.class_table import ClassTable
from xemap.preparation.converters.coco import CocoConverter
from xemap.preparation.converters.color_masks import ColorMasksConverter
from xemap.preparation.converters.convert import convert
from xemap.preparation.converters.dior import DiorConverter
from xemap.preparation.converters.dior_rsvg import DiorRsvgConverter
from xemap.preparation.converters.dota import DotaConverter
from xemap.preparation.converters.inria import InriaConverter
from xemap.preparation.converters.isprs import PotsdamConverter, VaihingenConverter
from xemap.preparation.converters.loveda import LoveDAConverter
from xemap.preparation.converters.phrases import PhraseTable
from xemap.preparation.converters.polygons import CocoCaptionsConverter, LabelmeConverter, PolygonsConverter
from xemap.preparation.converters.refcoco import RefCocoConverter
from xemap.preparation.converters.report import ConversionReport
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.converters.splits import SplitRule
from xemap.preparation.converters.visdrone import VisDroneConverter
from xemap.preparation.instance import Instance

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
