# Ours: every region.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(top_ratio=1.0))
