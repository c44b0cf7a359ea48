"""One vocabulary and one meaning of every word: places, relations, direction words, the parts of a query."""
