# SeLo v2 on AMFMN.
_base_ = [
    '../_base_/models/selo_amfmn.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV2Generator'))
