from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from tests.preparation.expressions.evaluator import SYNTHETIC_NOUNS, read
from tests.preparation.synthetic.test_queries import rasters_of
from tests.tools.command import run_tool
from xemap.datasets.annotations import AnnotationFile
from xemap.language.scene import Scene
from xemap.preparation.minimal_pairs import CHANGES, LONGEST_DIFFERENCE, difference
from xemap.preparation.synthetic import lay_out_scene, minimal_pairs
from xemap.preparation.synthetic.minimal_pairs import UNSEEN, choose_pairs, unseen_words
from xemap.preparation.synthetic.queries import synthetic_words
from xemap.preparation.synthetic.writer import write_synthetic

tool = partial(run_tool, 'make_synthetic')


@pytest.fixture(scope='module')
def scenes():
    plans = [lay_out_scene(seed, 512).plan for seed in range(700, 724)]
    return [(plan, choose_pairs(plan.objects, plan.size, np.random.default_rng(0))) for plan in plans]


def test_both_mean_what_the_pixels_say(scenes):
    for plan, pairs in scenes[:8]:
        rasters = rasters_of(plan)
        for change, *choices in pairs:
            for choice in choices:
                if UNSEEN not in change:
                    assert rasters.find(read(choice.wording.text, SYNTHETIC_NOUNS)) == list(choice.referents), choice


def test_a_pair_differs_in_one_phrase_and_in_its_referents(scenes):
    for plan, pairs in scenes:
        seen = Scene(plan.objects, plan.size, synthetic_words())
        for change, first, second in pairs:
            limit = LONGEST_DIFFERENCE[change.removesuffix(UNSEEN)]
            assert 0 < max(difference(first.wording.text, second.wording.text)) <= limit
            assert first.referents and second.referents and not set(first.referents) & set(second.referents)
            for choice in (first, second):  # other words, the same meaning
                assert choice.distractors and seen.resolve(choice.meaning) == choice.referents


def test_every_change_occurs(scenes):
    changes = {change for _, pairs in scenes for change, *_ in pairs}
    assert changes == {change + suffix for change in CHANGES for suffix in ('', UNSEEN)}


def test_unseen_words_are_in_no_other_split():
    def texts(node):
        if isinstance(node, dict):
            return {text for child in node.values() for text in texts(child)}
        return {node} if isinstance(node, str) else {text for child in node for text in texts(child)}

    folder = minimal_pairs.Path(minimal_pairs.__file__).parent
    unseen = texts(json.loads((folder / 'unseen_words.json').read_text()))
    words = synthetic_words()
    seen = texts(words.templates) | {
        text for forms in words.sentences.values() for t in forms.values() for text, _ in t
    }
    assert len(unseen) > 40 and not unseen & seen
    assert all(text in texts(unseen_words().templates) or '{thing}' in text or '{where}' in text for text in unseen)


def test_tool_writes_a_split_of_its_own(tmp_path):
    done = tool('--out', tmp_path, '--minimal-pairs', 3, '--test', 1, '--sizes', 256, '--workers', 1)
    assert done.returncode == 0, done.stderr
    file = AnnotationFile(tmp_path / 'pairs.arrow')
    assert file.info['minimal_pairs'] == 'only' and 'needed_share' not in file.info
    count = 0
    for record in file:
        pairs = [query.pair for query in record.queries]
        assert pairs[::2] == pairs[1::2] and len(set(pairs)) == len(pairs) / 2
        count += len(pairs)
        for first, second in zip(record.queries[::2], record.queries[1::2]):
            assert not (first.region.mask(record.size) & second.region.mask(record.size)).any()
    assert count > 6
    assert all(query.pair is None for record in AnnotationFile(tmp_path / 'test.arrow') for query in record.queries)
    refused = tool('--out', tmp_path / 'b', '--minimal-pairs', 3, '--captions', 2)
    assert refused.returncode == 2 and '--captions makes no queries' in refused.stderr


def test_training_queries_come_with_pairs_in_their_own_words(tmp_path):
    plain = write_synthetic(tmp_path / 'plain', 'train', 3, seed=3, sizes=[256], workers=1)
    counts = write_synthetic(tmp_path / 'pairs', 'train', 3, seed=3, sizes=[256], workers=1, minimal_pairs='too')
    assert counts['queries'] > plain['queries']
    with_pairs = 0
    files = (AnnotationFile(tmp_path / name / 'train.arrow') for name in ('plain', 'pairs'))
    for without, record in zip(*files):
        assert [query.text for query in record.queries[: len(without.queries)]] == [q.text for q in without.queries]
        added = [query.pair for query in record.queries[len(without.queries) :]]
        assert None not in added and not any(UNSEEN in pair for pair in added) and added[::2] == added[1::2]
        with_pairs += bool(added)
    assert with_pairs


@pytest.mark.parametrize('options', [('--test', 1), ('--train', 1, '--captions', 2)])
def test_pairs_in_train_is_refused_where_it_has_no_effect(tmp_path, options):
    refused = tool('--out', tmp_path / 'a', '--pairs-in-train', *options)
    assert refused.returncode == 2 and '--pairs-in-train' in refused.stderr
