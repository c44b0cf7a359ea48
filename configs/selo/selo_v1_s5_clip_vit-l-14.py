# On CLIP ViT-L/14 of open_clip; fine-tuned by configs/retrieval/clip_vit-l-14_rsitmd.py it makes CLIP-SeLo of the XeMap
# paper. RemoteCLIP or GeoRSCLIP: model.retrieval.weights=FILE; another CLIP: model.retrieval.name=ViT-B-32
_base_ = './selo_v1_s5_amfmn.py'
model = dict(retrieval=dict(_delete_=True, type='OpenCLIPRetrieval', name='ViT-L-14', weights='openai'))
