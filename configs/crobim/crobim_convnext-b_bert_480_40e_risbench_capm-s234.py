# Table V(a): prompts without the finest scale.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(scales=(1, 2, 3)))
