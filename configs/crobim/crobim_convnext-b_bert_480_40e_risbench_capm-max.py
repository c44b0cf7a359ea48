# Table V(b): maxima in place of means.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(pool='max'))
