# Ours: no compensation.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=None)
