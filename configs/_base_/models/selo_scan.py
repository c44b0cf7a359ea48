# SCAN, trained by configs/retrieval/scan_rsitmd.py; its checkpoint brings the vocabulary.
model = dict(type='SeLoLocalizer', retrieval=dict(type='SCAN'))
