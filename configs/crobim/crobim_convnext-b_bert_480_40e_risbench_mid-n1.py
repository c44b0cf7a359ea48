# Ours: one decoder layer.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(decoder=dict(num_layers=1))
