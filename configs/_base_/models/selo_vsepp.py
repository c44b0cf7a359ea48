# VSE++, trained by configs/retrieval/vsepp_rsitmd.py; its checkpoint brings the vocabulary.
model = dict(type='SeLoLocalizer', retrieval=dict(type='VSEPP'))
