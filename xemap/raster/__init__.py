"""Reading and writing images of any size: windows, reduced decoding, bands, georeference."""
