# Table 3: the text vector is the first token's.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(head=dict(pooling='first'))
