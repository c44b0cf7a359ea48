# SeLo v2 on the narrow synthetic AMFMN.
_base_ = [
    '../_base_/models/selo_amfmn_small.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV2Generator'))
