# Table III (a): no decoder, the encoder reads the image alone. Pr@0.5 72.41 in print.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(num_decoder_layers=0)
