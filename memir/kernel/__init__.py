"""Tables of kernel objects, one file per kernel subsystem and one per processor architecture."""
