"""One view of physical memory over every image format.

The bytes of the image are one numpy array (`_data`): the mapped file itself where the format stores RAM as it is,
or a sparse scratch mapping that is filled on demand where RAM is compressed or far away. A physical address becomes
an index into that array by its range; everything else is numpy gathers.
"""
