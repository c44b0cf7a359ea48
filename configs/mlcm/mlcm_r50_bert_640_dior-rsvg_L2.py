# Ours: L = 2 decoder layers; the paper does not name its L, its code has 1.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(num_decoder_layers=2)
