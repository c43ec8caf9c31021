"""What the pinned emulator lacks, loaded into its process.

It runs in `.local-aws`, so nothing here may import the product. Functions of the emulator are replaced by name at
start; its installed files stay as they are.
"""
