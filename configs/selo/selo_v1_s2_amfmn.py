# SeLo v1 with tiles of 256, 512 px: s2 of the SeLo paper's Table IV. On AMFMN.
_base_ = [
    '../_base_/models/selo_amfmn.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV1Generator', scales=(256, 512)))
