# Ours: an eighth of the regions.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(top_ratio=0.125))
