# Table V(a): prompts from the three finest scales.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(scales=(0, 1, 2)))
