# Table VII: both directions side by side.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(decoder=dict(mode='parallel'))
