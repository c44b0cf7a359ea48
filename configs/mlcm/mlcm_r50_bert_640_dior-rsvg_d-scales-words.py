# Table III (d): image at all levels and words. Pr@0.5 70.90 in print.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(memory=('scales', 'words'))
