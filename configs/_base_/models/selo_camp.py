# CAMP, trained by configs/retrieval/camp_rsitmd.py; its checkpoint brings the vocabulary.
model = dict(type='SeLoLocalizer', retrieval=dict(type='CAMP'))
