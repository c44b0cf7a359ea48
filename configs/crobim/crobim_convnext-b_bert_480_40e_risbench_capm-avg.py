# Table V(b): means over windows as large as the coarsest scale.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(pool='avg'))
