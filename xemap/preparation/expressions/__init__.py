"""Referring expressions from labels: what they may say is in :mod:`xemap.language`.

===============  ============================================================================
module           what it holds
===============  ============================================================================
``generator``    which expressions are made of an image
``objects``      from labels to measured objects; the parts of class masks
===============  ============================================================================
"""

from xemap.language.words import Words
from xemap.preparation.expressions.generator import ExpressionGenerator

__all__ = ['ExpressionGenerator', 'Words']
