# Ours: six decoder layers.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(decoder=dict(num_layers=6))
