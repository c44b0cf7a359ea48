from __future__ import annotations

import numpy as np
import pytest

from xemap.errors import DataError
from xemap.evaluation import MinimalPairMetric
from xemap.evaluation.metrics import minimal_pairs as module
from xemap.preparation import minimal_pairs
from xemap.preparation.synthetic.minimal_pairs import UNSEEN, choose_pairs
from xemap.preparation.synthetic.scene import lay_out_scene
from xemap.structures import MapAnswers, XeMapDataSample


@pytest.fixture(scope='module')
def samples():
    """Two scenes with all their minimal pairs; the answers are the referents themselves."""
    made = []
    for index in range(2):
        layout = lay_out_scene(700 + index, 256)
        pairs = choose_pairs(layout.plan.objects, layout.plan.size, np.random.default_rng(0))
        sample = XeMapDataSample(
            metainfo={
                'img_path': f'{index}.png', 'ori_shape': (256, 256), 'img_shape': (256, 256), 'source': 'synthetic',
                'sample_idx': index, 'query_ids': list(range(2 * len(pairs))),
            }
        )  # fmt: skip
        sample.queries = [
            layout.query(choice, f'{change}/{k}') for k, (change, *two) in enumerate(pairs) for choice in two
        ]
        sample.answers = MapAnswers(np.stack([query.region.mask((256, 256)) for query in sample.queries]).astype('f4'))
        made.append(sample.to_dict())
    return made


def evaluate(samples, answers):
    metric = MinimalPairMetric()
    for sample in samples:
        metric.process(None, [{**sample, 'answers': answers(sample['answers'].maps())}])
    return metric.evaluate(len(samples)), metric.rows


def test_names_are_those_of_the_probe_set():
    assert (module.CHANGES, module.UNSEEN) == (minimal_pairs.CHANGES, UNSEEN)


def test_the_referents_themselves_are_right(samples):
    result, rows = evaluate(samples, MapAnswers)
    assert result['both'] == result['one'] == result['both_unseen'] == 1
    assert len(rows) == sum(len(sample['queries']) for sample in samples) > 8
    for change in {row['change'] for row in rows if not row['change'].endswith(module.UNSEEN)}:
        assert result[f'both_{change}'] == 1


def test_pairs_in_unseen_words_count_apart(samples):
    def wrong_in_unseen_words(sample):
        unseen = np.array([module.UNSEEN in query.pair for query in sample['queries']])
        maps = sample['answers'].maps()
        return MapAnswers(np.where(unseen[:, None, None], 0, maps))

    metric = MinimalPairMetric()
    for sample in samples:
        metric.process(None, [{**sample, 'answers': wrong_in_unseen_words(sample)}])
    result = metric.evaluate(len(samples))
    unseen = np.mean([row['change'].endswith(module.UNSEEN) for row in metric.rows])
    assert 0 < unseen < 1 and result['both'] == pytest.approx(1 - unseen)
    assert (result['both_seen'], result['both_unseen']) == (1, 0)
    assert {value for name, value in result.items() if name.removeprefix('both_') in module.CHANGES} <= {1, None}


def test_maps_that_do_not_depend_on_the_words_are_never_right_for_both(samples):
    def category_only(maps):
        return MapAnswers(np.repeat(np.maximum(maps[::2], maps[1::2]), 2, axis=0))

    def first_of_each_pair(maps):
        return MapAnswers(np.repeat(maps[::2], 2, axis=0))

    result, rows = evaluate(samples, first_of_each_pair)
    assert (result['both'], result['one']) == (0, 0.5)
    assert {row['query_right'] for row in rows if row['query_id'] % 2 == 0} == {1}
    assert evaluate(samples, category_only)[0]['both'] == 0
    assert (
        evaluate(samples, lambda maps: MapAnswers(maps.reshape(-1, 2, *maps.shape[1:])[:, ::-1].reshape(maps.shape)))[
            0
        ]['one']
        == 0
    )


def test_a_query_without_its_counterpart_is_refused(samples):
    sample = samples[0]
    alone = {**sample, 'queries': sample['queries'][:1], 'query_ids': [0], 'answers': sample['answers'][:1]}
    with pytest.raises(DataError, match='1 queries are in no minimal pair'):
        MinimalPairMetric().process(None, [alone])
