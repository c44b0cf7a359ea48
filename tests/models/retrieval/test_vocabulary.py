from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import CheckpointError, ConfigError
from xemap.models.retrieval.vocabulary import PAD, STOP_WORDS, UNKNOWN, Vocabulary, split_words


@pytest.mark.parametrize(
    'text, words',
    [
        ('There is a Green pond, next to the gray road.\n', ['there', 'is', 'a', 'green', 'pond', 'next', 'to', 'the',
                                                              'gray', 'road']),
        ('side-by-side (red) roofs; 20 cars!', ['side-by-side', 'red', 'roofs', '20', 'cars']),
        ("the farmer’s field - wide", ['the', "farmer's", 'field', 'wide']),
        ('?! …', []),
    ],
)  # fmt: skip
def test_words(text, words):
    assert split_words(text) == words


def test_counts_order_and_threshold():
    captions = ['lake lake lake', 'a a a', 'sea sea', 'the the the the', 'Pond pond pond']
    assert Vocabulary.from_captions(captions, min_count=3).words == ('the', 'a', 'lake', 'pond')
    assert Vocabulary.from_captions(captions, min_count=3, drop_stop_words=True).words == ('lake', 'pond')
    assert 'a' in STOP_WORDS


def test_unknown_words_are_one_index_and_reported():
    vocabulary = Vocabulary(['lake', 'road'])
    assert len(vocabulary) == 4
    assert vocabulary.encode('The lake, road; a bridge') == [UNKNOWN, 2, 3, UNKNOWN, UNKNOWN]
    assert vocabulary.unknown_words('The lake, road; a bridge') == ['the', 'a', 'bridge']
    assert vocabulary.unknown_share(['the lake', 'road']) == pytest.approx(1 / 3)
    assert vocabulary.encode('!') == [UNKNOWN] and vocabulary.unknown_share(['!']) == 0.0


def test_a_word_twice_is_refused():
    with pytest.raises(ConfigError, match='"lake" is there twice'):
        Vocabulary(['lake', 'sea', 'lake'])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1).map(str.lower), unique=True, max_size=20), st.booleans())
def test_saved_and_read_again(words, dropped):
    vocabulary = Vocabulary(words, dropped)
    again = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert again == vocabulary and again.words == vocabulary.words and again.drop_stop_words is dropped


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'{}',
        b'\xff',
        b'[1]',
        b'{"words": "ab", "drop_stop_words": false}',
        b'{"words": ["a", "a"], "drop_stop_words": false}',
    ],
)
def test_damaged_bytes(content):
    with pytest.raises(CheckpointError, match='vocabulary in the checkpoint is damaged'):
        Vocabulary.from_bytes(content)


def test_the_reference_vocabulary_of_rsitmd(shared_dir):
    """Counts and the 37 % of AIR-SLT's words that the reference does not know."""
    captions = (shared_dir / 'data/rsitmd/train_caps.txt').read_text().splitlines()
    assert len(captions) == 21455
    reference = Vocabulary.from_captions(captions, min_count=5, drop_stop_words=True)
    queries = [entry['caption'] for entry in json.loads((shared_dir / 'data/airslt/anno.json').read_text())]
    assert len(queries) == 59
    assert reference.unknown_share(queries) == pytest.approx(0.37, abs=0.005)
    whole = Vocabulary.from_captions(captions, min_count=5)
    assert whole.unknown_share(queries) < 0.03  # it is the stop words that are missing
    assert set(whole.words) - set(reference.words) <= STOP_WORDS
    assert min(reference.encode('Bridge')) > UNKNOWN > PAD
