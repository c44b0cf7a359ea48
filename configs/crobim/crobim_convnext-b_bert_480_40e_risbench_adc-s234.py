# Table VI: compensation without the finest stage.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(compensation=dict(stages=(1, 2, 3)))
