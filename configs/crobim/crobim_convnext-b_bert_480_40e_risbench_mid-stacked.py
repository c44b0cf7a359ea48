# Ours: all text updates before all image updates.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(decoder=dict(order='stacked'))
