# SeLo v2 on CLIP ViT-B/32.
_base_ = [
    '../_base_/models/selo_clip_vit-b-32.py',
    '../_base_/datasets/synthetic_full.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(type='SeLoV2Generator'))
