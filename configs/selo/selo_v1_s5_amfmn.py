# SeLo v1 with tiles of 256, 512, 768 px, the default: s5 of the SeLo paper's Table IV. On AMFMN, trained by
# configs/retrieval/amfmn_rsitmd.py, whose checkpoint brings the vocabulary.
# Other settings of Table IV: model.generator.scales="[128,256]"; other models: model.retrieval.type=SCAN
_base_ = ['../_base_/datasets/synthetic_full.py', '../_base_/tasks/map.py', '../_base_/default_runtime.py']
model = dict(
    type='SeLoLocalizer',
    retrieval=dict(type='AMFMN'),
    generator=dict(type='SeLoV1Generator', scales=(256, 512, 768)),
)
