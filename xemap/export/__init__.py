"""Localizers as files that run without this package: torch.export programs and ONNX."""

from xemap.export.modules import ImageSide, WholeGrounding, WholeNetwork, tokenize
from xemap.export.write import FORMATS, export_model, write_onnx, write_program

__all__ = [
    'FORMATS',
    'ImageSide',
    'WholeGrounding',
    'WholeNetwork',
    'export_model',
    'tokenize',
    'write_onnx',
    'write_program',
]
