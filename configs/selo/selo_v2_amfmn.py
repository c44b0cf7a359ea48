# SeLo v2 on AMFMN; other models: model.retrieval.type=SCAN
_base_ = ['../_base_/datasets/synthetic_full.py', '../_base_/tasks/map.py', '../_base_/default_runtime.py']
model = dict(type='SeLoLocalizer', retrieval=dict(type='AMFMN'), generator=dict(type='SeLoV2Generator'))
