# Ours: compensation replaces the features.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(write_back='replace'))
