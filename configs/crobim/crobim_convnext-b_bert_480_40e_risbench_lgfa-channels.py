# Ours: the printed shapes of the attention, over language channels.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(attend='channels')
