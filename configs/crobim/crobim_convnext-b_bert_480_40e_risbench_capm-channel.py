# Ours: the printed concatenation along channels, whose prompts do nothing.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=dict(context='channels'))
