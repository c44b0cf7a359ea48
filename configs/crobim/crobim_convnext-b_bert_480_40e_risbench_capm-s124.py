# Table V(a): prompts without the third scale.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(scales=(0, 1, 3)))
