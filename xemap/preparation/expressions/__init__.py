"""Referring expressions from labels.

===============  ============================================================================
module           what it holds
===============  ============================================================================
``generator``    which expressions are made of an image
``scene``        the meaning of an expression, and what satisfies it
``objects``      from labels to measured objects; the parts of class masks
``colors``       which colour a region has
``phrasing``     from a meaning to a text
``words``        the word lists and templates of ``words.json``
===============  ============================================================================
"""

from xemap.preparation.expressions.generator import ExpressionGenerator
from xemap.preparation.expressions.words import Words

__all__ = ['ExpressionGenerator', 'Words']
