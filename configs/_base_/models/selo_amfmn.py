# AMFMN, trained by configs/retrieval/amfmn_rsitmd.py; its checkpoint brings the vocabulary.
model = dict(type='SeLoLocalizer', retrieval=dict(type='AMFMN'))
