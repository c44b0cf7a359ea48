# Table III (c): image at all levels and sentence. Pr@0.5 67.46 in print.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(memory=('scales', 'sentence'))
