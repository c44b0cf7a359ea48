"""One vocabulary, one meaning for each word.

=================  ============================================================================
module             what it holds
=================  ============================================================================
``words``          nouns, attributes, places, relations and sentences of ``words.json``
``nouns``          class names as words
``expression``     the meaning of a referring expression as data
``scene``          resolving an expression against the objects of an image
``geometry``       the measurements that words are judged by
``attributes``     what "large", "largest", "round" mean; ``colors``: what "red" means
``places``         what "on the left", "leftmost" mean
``relations``      what "next to", "between" mean
``verdicts``       yes, no, and the doubt between
``wording``        from a meaning to a text
``directions``     rewriting a text for the mirrored image
``decompose``      the one-hop parts of a query
=================  ============================================================================
"""
