"""Localizers as files that run without this package: torch.export programs and ONNX."""

from xemap.export.halves import halves_of
from xemap.export.modules import ImageSide, QuerySide, WholeNetwork, tokenize
from xemap.export.write import FORMATS, export_model, write_onnx, write_program

__all__ = [
    'FORMATS',
    'ImageSide',
    'QuerySide',
    'WholeNetwork',
    'export_model',
    'halves_of',
    'tokenize',
    'write_onnx',
    'write_program',
]
