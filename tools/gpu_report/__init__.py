"""Everything that a machine with a GPU is to tell, step by step, over as many calls as it takes.

``tools/gpu_report.sh`` calls this package. Importing it is cheap.

============== ===================================================================
module         what it holds
============== ===================================================================
``step``       a step, what is recorded of it, and one call's run over the steps
``plan``       the steps: tests, benchmarks, scenes, trainings, scores
``carry``      the folder of what a machine without a network lacks
``summary``    one table of all figures so far
``difference`` how far two trainings are apart
``archive``    the machine, and one file to take away
============== ===================================================================
"""
