# SeLo v1 with tiles of 256, 512, 768 px (the default): s5 of the SeLo paper's Table IV. On CAMP.
_base_ = [
    '../_base_/models/selo_camp.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV1Generator', scales=(256, 512, 768)))
