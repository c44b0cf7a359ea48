# Table 3: the text vector by max pooling.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(head=dict(pooling='max'))
