"""The surfaces of objects in a volume, as triangles in mm.

surface.py     triangles, their area, volume and normals
extraction.py  the voxels of a class, or its probabilities -> a closed surface
refinement.py  smoothing, and fewer triangles
distance.py    how far a surface lies outside or inside another, by metrics/nearest.py
encoding.py    PLY and OBJ
"""
