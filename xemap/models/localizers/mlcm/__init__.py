"""MLCM: boxes from a multi-level cross-modal decoder; TransVG is the same without the decoder."""

from xemap.models.localizers.mlcm.head import BoxHead
from xemap.models.localizers.mlcm.mlcm import MLCM
from xemap.models.localizers.mlcm.text import WordSentenceEncoder
from xemap.models.localizers.mlcm.weights import load_authors_weights, load_detr_weights

__all__ = ['MLCM', 'BoxHead', 'WordSentenceEncoder', 'load_authors_weights', 'load_detr_weights']
