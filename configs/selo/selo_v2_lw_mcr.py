# SeLo v2 on LW-MCR.
_base_ = [
    '../_base_/models/selo_lw_mcr.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV2Generator'))
