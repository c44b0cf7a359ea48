# The quickstart's network, tested on minimal pairs: tools/data/make_synthetic.py --minimal-pairs 100.
_base_ = 'xemap_small_synthetic.py'

test_dataloader = dict(dataset=dict(ann_file='pairs.arrow'))
test_evaluator = dict(_delete_=True, type='MinimalPairMetric')
