# Table VI: compensation in the coarsest stage alone.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(stages=(3,)))
