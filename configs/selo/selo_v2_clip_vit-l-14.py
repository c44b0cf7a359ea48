# SeLo v2 on CLIP ViT-L/14.
_base_ = [
    '../_base_/models/selo_clip_vit-l-14.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV2Generator'))
