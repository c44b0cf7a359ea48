# CLIP ViT-L/14; fine-tuned by configs/retrieval/clip_vit-l-14_rsitmd.py it makes CLIP-SeLo of the XeMap paper.
model = dict(type='SeLoLocalizer', retrieval=dict(type='OpenCLIPRetrieval', name='ViT-L-14', weights='openai'))
