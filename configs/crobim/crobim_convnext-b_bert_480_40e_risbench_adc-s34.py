# Table VI: compensation in the two coarsest stages.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(stages=(2, 3)))
