# Ours: BERT reads without prompts.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(prompts=None)
