# Table VII: the words change the image and not the other way round.
_base_ = './crobim_convnext-b_bert_480_40e_risbench.py'
model = dict(decoder=dict(mode='unidirectional'))
